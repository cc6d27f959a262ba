"""`/api/dead-letters`: orders that the broker gave up, of all teams; send one again, or discard it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from events.append import Write
from service.auth.caller import Caller
from service.commands import Commands, Decision, WithReason
from service.endpoints import Answer, Endpoint, Handler, Query, Recorded, read_query
from service.http import json_response, name_cursor, read_name_cursor
from service.letters.desk import DeathReason, KnownLetter, LetterDesk, discarded, resent

SHOWN = 1000
"""Characters that a list shows of a body that cannot be read."""


class DeadLetterAnswer(Answer, frozen=True, kw_only=True):
    """An order that the broker gave up: every worker that had it failed or died (`delivery_limit`), or nobody can read
    it (`unreadable`; `body` is how it begins). What it says of its segment is null then. `stalled`: its segment rests
    until it is sent again; one that is false has gone on by other orders, or is at its end, and null is not known."""

    letter_id: str
    queue: str
    reason: DeathReason
    died_at: datetime | None
    team_id: str | None
    collection_id: str | None
    segment_id: str | None
    step: Literal["submit", "poll", "fetch"] | None
    stalled: bool | None
    body: str | None


class DeadLetterPage(Answer, frozen=True, kw_only=True):
    """Dead letters, the last to die first; `next_cursor` leads on to older ones, null on the last page."""

    items: list[DeadLetterAnswer]
    next_cursor: str | None


class DeadLetterSettled(Recorded, frozen=True, kw_only=True):
    """What became of a letter. `resumed`: its segment had stalled, and goes on by a new order."""

    letter_id: str
    resumed: bool


class ListDeadLetters(Query, frozen=True, kw_only=True):
    """How many to list; `cursor` is a `next_cursor`."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None


def letter_routes(commands: Commands, desk: LetterDesk) -> list[Endpoint]:
    """The routes over the broker behind `desk`."""

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListDeadLetters)
        before = None if query.cursor is None else read_name_cursor(query.cursor)
        found = sorted(((_order(each), each) for each in await desk.letters()), key=lambda row: row[0], reverse=True)
        rest = [row for row in found if before is None or row[0] < before]
        page, more = rest[: query.limit], len(rest) > query.limit
        return json_response(
            DeadLetterPage(
                items=[_shown(each) for _, each in page], next_cursor=name_cursor(page[-1][0]) if more else None
            )
        )

    async def settle(
        request: Request,
        decided: Callable[[KnownLetter, Caller, str | None], tuple[Write, ...]],
        act: Callable[[str, bool], Awaitable[None]],
    ) -> Response:
        """Records first, acts then: cut off between the two, the letter is still there, and the same request again
        finds it, with its key too."""
        letter_id: str = request.path_params["letter_id"]

        async def decide(body: WithReason, caller: Caller) -> Decision:
            writes = decided(await desk.letter(letter_id), caller, body.reason)
            return Decision(writes, DeadLetterSettled(letter_id=letter_id, resumed=len(writes) > 1))

        response = await commands.run(request, WithReason, decide)
        await act(letter_id, msgspec.json.decode(response.body)["resumed"])
        return response

    async def resend(request: Request) -> Response:
        async def act(letter_id: str, resumed: bool) -> None:
            await (desk.delete(letter_id) if resumed else desk.put_back(letter_id))

        return await settle(request, resent, act)

    async def discard(request: Request) -> Response:
        async def act(letter_id: str, resumed: bool) -> None:
            await desk.delete(letter_id)

        return await settle(request, discarded, act)

    def command(name: str, handler: Handler, summary: str) -> Endpoint:
        return Endpoint(
            "POST",
            f"/api/dead-letters/{{letter_id}}/{name}",
            handler,
            summary=summary,
            body=WithReason,
            answer=DeadLetterSettled,
            scope="admin",
            refusals=("not_found", "version_conflict", "broker_unavailable"),
        )

    return [
        Endpoint(
            "GET",
            "/api/dead-letters",
            list_all,
            summary="List the orders that the broker gave up",
            query=ListDeadLetters,
            answer=DeadLetterPage,
            scope="admin",
            refusals=("broker_unavailable",),
        ),
        command("resend", resend, "Have a dead letter tried again"),
        command("discard", discard, "Delete a dead letter"),
    ]


def _order(known: KnownLetter) -> str:
    """What letters are sorted by: when each died, and its id."""
    died_at = known.letter.died_at
    return f"{died_at.isoformat() if died_at else ''} {known.letter.id}"


def _shown(known: KnownLetter) -> DeadLetterAnswer:
    letter, message = known.letter, known.letter.message
    return DeadLetterAnswer(
        letter_id=letter.id,
        queue=letter.queue,
        reason=known.reason,
        died_at=letter.died_at,
        team_id=message.team_id if message else None,
        collection_id=message.collection_id if message else None,
        segment_id=message.segment_id if message else None,
        step=message.step if message else None,
        stalled=known.segment.stalled if known.segment else None,
        body=None if message else letter.body.decode(errors="replace")[:SHOWN],
    )
