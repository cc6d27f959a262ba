"""What every route needs of HTTP: JSON answers, entity tags, parameters of the query, reading one's own writes."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from projections.runner import wait_projected
from service.problems import Refused

LAST_POSITION = 2**62
# How long a read waits for the read models before it says that they are behind.
PROJECTION_PATIENCE = 10.0


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def etag(version: int) -> dict[str, str]:
    """The header that `If-Match` is to repeat: the version of the stream behind an answer."""
    return {"ETag": f'"{version}"'}


def int_parameter(request: Request, name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number from the query; refused, by name, where it is none or out of range."""
    text = request.query_params.get(name)
    if text is None:
        return default
    # Twenty digits hold every position; thousands of them Python refuses to read.
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and lowest <= int(text) <= highest):
        raise Refused("bad_request", f"{name} must be a whole number from {lowest} to {highest}")
    return int(text)


async def wait_position(pool: Pool, request: Request) -> None:
    """Read your own write: waits until the read models have applied `?min_position=`, if that is given."""
    position = int_parameter(request, "min_position", 0, 0, LAST_POSITION)
    if position and not await wait_projected(pool, position, timeout=PROJECTION_PATIENCE):
        raise Refused("projection_behind", f"position {position} is not applied yet", retry_after=1)
