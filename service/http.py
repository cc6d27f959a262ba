"""What every route needs of HTTP: JSON answers, entity tags, cursors, reading one's own writes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.reader import read_head
from projections.runner import read_checkpoint, wait_projected
from service.problems import Refused

# How long a read waits for the read models before it says that they are behind.
PROJECTION_PATIENCE = 10.0


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def etag(version: int) -> dict[str, str]:
    """The header that `If-Match` is to repeat: the version of the stream behind an answer."""
    return {"ETag": f'"{version}"'}


def refuse_stale(request: Request, version: int, noun: str) -> None:
    """Refuses a request whose `If-Match` names other versions than the one that the thing has."""
    expected = [tag.strip() for tag in request.headers.get("if-match", "*").split(",")]
    if "*" not in expected and f'"{version}"' not in expected:
        raise Refused(
            "stale",
            f'the {noun} is at version {version}; read it again, then send If-Match: "{version}"',
            extra={"actual_version": version},
        )


async def wait_position(pool: Pool, position: int) -> None:
    """Read your own write: waits until the read models have applied the position; 0 waits for nothing.

    Refuses at once a position that the log does not have: no write has answered it, so nothing will bring it.
    """
    if position <= 0 or await read_checkpoint(pool) >= position:
        return
    if position > (head := await read_head(pool)):
        raise Refused("log_rewound", f"the log ends at position {head}; give one that a write has answered")
    if not await wait_projected(pool, position, timeout=PROJECTION_PATIENCE):
        raise Refused("projection_behind", f"position {position} is not applied yet", retry_after=1)


def cursor_of(moment: datetime, id: UUID | str) -> str:
    """Where a list that is ordered by time and id goes on, as text for `?cursor=`."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {id}".encode()).decode()


def page_of(
    rows: Sequence[asyncpg.Record],
    limit: int,
    cursor: Callable[[asyncpg.Record], str],
    shown: Callable[[asyncpg.Record], Any] = dict,
) -> dict[str, Any]:
    """A page of a list: of `limit` + 1 rows that were asked for the first `limit`, as `shown`, and where there is
    one more the cursor of the last that is shown."""
    return {
        "items": [shown(row) for row in rows[:limit]],
        "next_cursor": cursor(rows[limit - 1]) if len(rows) > limit else None,
    }


def keeping_json(row: asyncpg.Record, *names: str) -> dict[str, Any]:
    """The row with the JSON of these columns as it is, instead of as text."""
    kept = {name: msgspec.Raw(row[name].encode()) for name in names if row.get(name) is not None}
    return dict(row) | kept


def newest(moment: str, id: str) -> Callable[[asyncpg.Record], str]:
    """The cursor of rows that are ordered by the columns of their time and their id."""
    return lambda row: cursor_of(row[moment], row[id])


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """The time (UTC) and id of a cursor. Refuses a text that no list has answered."""
    try:
        moment, _, id = base64.urlsafe_b64decode(text).decode().partition(" ")
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(id)
    except (ValueError, OverflowError):
        raise Refused("bad_request", "cursor is not one that a list has answered") from None


def name_cursor(name: str) -> str:
    """Where a list that is ordered by a text goes on, as text for `?cursor=`."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def read_name_cursor(text: str) -> str:
    """The text of a cursor. Refuses a cursor that no list has answered."""
    try:
        name = base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except ValueError:
        name = ""
    if not name or not name.isprintable():
        raise Refused("bad_request", "cursor is not one that a list has answered")
    return name
