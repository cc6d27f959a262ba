"""Commands over HTTP: decide, append, answer; with an `Idempotency-Key`, the first answer again.

A decision is made from streams as they stand and appended with their versions: where somebody was faster,
the append is refused and nothing has happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events import codec
from events.append import Appended, AppendRequest, Conflict, IdempotencyKey, KeyReused, Write
from events.envelope import NewEvent, stream_of
from events.reader import read_head
from events.validation import Body, Problem
from events.writer import AppendWriter
from service.auth.caller import Caller, caller_of
from service.endpoints import Recorded
from service.footing import FOOTING, Footing, Memory
from service.http import etag
from service.mending import read_body
from service.persons.texts import PersonalTexts
from service.problems import Refused

Kind = TypeVar("Kind")

OUR_STREAMS = tuple(stream_of(kind, "") for kind in ("team", "schedule", "collection", "person"))

Append = Callable[[AppendRequest], Awaitable[Appended]]


Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class WithReason(Body, frozen=True, kw_only=True):
    """Why, in the caller's own words; it is recorded."""

    reason: Reason | None = None


class Change(Body, frozen=True, kw_only=True):
    """Base of bodies that change what they name of a thing, and leave the rest as it is."""

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        if not given.keys() - {"reason"}:
            fields = [name for name in cls.__struct_fields__ if name != "reason"]
            yield Problem("", f"changes nothing; give one of {', '.join(fields)}")


class Decision(msgspec.Struct, frozen=True):
    """What a command records and answers; `answer` is given the position of the append, or where there is nothing to
    record that of the log's end."""

    writes: tuple[Write, ...]
    answer: Recorded
    status: int = 200


class Commands:
    """Runs the commands of all routes. What is personal in their events is sealed here."""

    def __init__(self, pool: Pool, writer: AppendWriter, texts: PersonalTexts, memory: Memory) -> None:
        self._pool = pool
        self._memory = memory
        self._writer = writer
        self._texts = texts

    async def run(
        self,
        request: Request,
        kind: type[Kind],
        decide: Callable[[Kind, Caller], Awaitable[Decision]],
        *,
        append: Append | None = None,
        afresh: bool = False,
    ) -> Response:
        """Reads the body as `kind`, decides, appends, and answers JSON with the `position` of the append. `append` is
        another way of recording, where more has to happen with it. `afresh`: it is decided from the log as it is now
        and never from memory, as deciding has an effect of its own."""
        body = await request.body()
        caller = caller_of(request)
        key = _scoped_key(request, caller)
        digest = hashlib.sha256(body).digest()
        if key and (known := await self._first_answer(key, digest)):
            return known
        try:
            command = await read_body(
                kind, body, lambda rest: self._decided(request, lambda: decide(rest, caller), afresh=True)
            )
            return await self._carry_out(
                request, lambda: decide(command, caller), key, digest, append or self._writer.append, afresh=afresh
            )
        except (Refused, Conflict):
            # The same request may have been carried out elsewhere while we looked: then its answer counts.
            if key and (known := await self._first_answer(key, digest)):
                return known
            raise

    async def _carry_out(
        self,
        request: Request,
        decide: Callable[[], Awaitable[Decision]],
        key: str | None,
        digest: bytes,
        append: Append,
        *,
        afresh: bool,
    ) -> Response:
        decision, footing = await self._decided(request, decide, afresh=afresh)
        while True:
            if not decision.writes:
                return _answer(codec.encode(decision.answer), decision.status, await read_head(self._pool))
            answer = codec.encode(decision.answer)
            kept = IdempotencyKey(key, digest, decision.status, answer) if key else None
            asserted = footing.assertions(decision.writes)
            plain = AppendRequest((*decision.writes, *asserted), kept)
            sealed = await self._texts.seal(plain)
            try:
                appended = await append(sealed)
            except Conflict as conflict:
                footing.forget()
                excused = footing.remembered.union(write.stream for write in asserted)
                # Somebody was faster. As it now stands there may be a better reason to refuse than the versions.
                decision, footing = await self._decided(request, decide, afresh=True)
                if not _decides_again(sealed, conflict, excused):
                    raise
                continue
            # What was sealed only now is in the clear in the states that the decision has made: nobody remembers that.
            if not appended.duplicate and _events_of(sealed) == _events_of(plain):
                footing.recorded(len(answer))
            if appended.answer is not None and appended.status is not None:
                return _answer(appended.answer, appended.status, appended.last_position)
            return _answer(answer, decision.status, appended.last_position)

    async def _decided(
        self, request: Request, decide: Callable[[], Awaitable[Decision]], *, afresh: bool
    ) -> tuple[Decision, Footing]:
        """The decision, and what it stands on. What no append would prove (a refusal, an answer that records nothing)
        is taken from the log itself, never from memory."""
        if not afresh:
            footing = request.scope[FOOTING] = Footing(self._pool, self._memory, afresh=False)
            try:
                decision = await decide()
            except Exception:
                if not footing.remembered:
                    raise
            else:
                if decision.writes or not footing.remembered:
                    return decision, footing
        footing = request.scope[FOOTING] = Footing(self._pool, self._memory, afresh=True)
        return await decide(), footing

    async def _first_answer(self, key: str, digest: bytes) -> Response | None:
        row = await self._pool.fetchrow(
            "SELECT digest, status, answer, last_position FROM idempotency_keys WHERE key = $1", key
        )
        if row is None:
            return None
        if row["digest"] != digest:
            raise KeyReused
        return _answer(row["answer"], row["status"], row["last_position"])


def _events_of(request: AppendRequest) -> list[tuple[NewEvent, ...]]:
    return [write.events for write in request.writes if write.events]


def _decides_again(request: AppendRequest, conflict: Conflict, excused: Collection[str]) -> bool:
    """Whether only such streams have moved on as the service itself writes to while people do, or as are `excused`:
    of which the memory was out of date, or which the command does not write to. Then it is decided again as they now
    stand. Each time somebody else has come through, so this ends."""
    moved = [
        write.stream
        for write in request.writes
        if write.expected != "any"
        and conflict.actual[write.stream] != (0 if write.expected == "none" else write.expected)
    ]
    return bool(moved) and all(stream in excused or stream.startswith(OUR_STREAMS) for stream in moved)


def _scoped_key(request: Request, caller: Caller) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    # The path as it was sent: decoded it may hold what PostgreSQL cannot.
    path = request.scope["raw_path"].decode("ascii")
    return "\n".join((caller.team_id, str(caller.user_id), request.method, path, key))


def _answer(answer: str, status: int, position: int) -> Response:
    """The answer, which was made when its position was not known yet, with it."""
    if answer.startswith(_NO_POSITION):
        body = f'{{"position":{position}{answer[len(_NO_POSITION) :]}'.encode()
    else:
        body = msgspec.json.encode({**msgspec.json.decode(answer), "position": position})
    version = _VERSIONED.decode(answer).version
    return Response(body, status, None if version is None else etag(version), media_type="application/json")


class _Versioned(msgspec.Struct):
    version: int | None = None


_NO_POSITION = '{"position":0'
_VERSIONED = msgspec.json.Decoder(_Versioned)
