"""What a command's decision stands on: streams, each folded into a state at a version.

A process remembers the states that it has folded, and follows the log to keep them up, so that most decisions read
nothing. What is remembered may be out of date all the same: another process may just have appended. So it is only ever
a guess, which the append proves or refuses: it asserts the version of every stream that the decision stood on. What is
not proved by an append (a refusal, an answer that records nothing) is decided from the log itself
(docs/decisions/0025-decided-from-memory.md; `service.commands` holds to it).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

import msgspec
import structlog
from starlette.requests import Request

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.append import Write
from events.envelope import Category, RecordedEvent, stream_of
from events.feed import Feed
from events.reader import read_each

log = structlog.get_logger()

State = TypeVar("State")

MOST_BYTES = 64 * 1024 * 1024
"""What may be remembered, in bytes of stored JSON and OVERHEAD for each stream."""
OVERHEAD = 1024

RETRY_AFTER = 1.0

FOOTING = "report_builder.footing"
"""Where a request's scope keeps what its decision stands on."""


class Kind(msgspec.Struct, Generic[State], frozen=True):
    """A kind of stream: how the state after an event follows from the one before, which is None for the first."""

    category: Category
    evolve: Callable[[State | None, RecordedEvent], State]


class Known(msgspec.Struct, frozen=True, gc=False):
    """A stream that exists: its version, its state, and how many bytes it counts for."""

    version: int
    state: Any
    size: int


class Memory:
    """The states that a process remembers, the least recently used forgotten first."""

    def __init__(self, kinds: Iterable[Kind[Any]], *, most_bytes: int = MOST_BYTES) -> None:
        self._kinds: dict[str, Kind[Any]] = {kind.category: kind for kind in kinds}
        self._most_bytes = most_bytes
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._bytes = 0

    def find(self, stream: str) -> Known | None:
        """What is remembered of the stream."""
        if (known := self._known.get(stream)) is not None:
            self._known.move_to_end(stream)
        return known

    def keep(self, stream: str, known: Known) -> None:
        """Remembers it, unless something newer is."""
        before = self._known.get(stream)
        if before is not None and before.version > known.version:
            return
        self._bytes += known.size - (before.size if before else 0)
        self._known[stream] = known
        self._known.move_to_end(stream)
        while self._bytes > self._most_bytes:
            self._bytes -= self._known.popitem(last=False)[1].size

    def forget(self, streams: Iterable[str]) -> None:
        for stream in streams:
            if (known := self._known.pop(stream, None)) is not None:
                self._bytes -= known.size

    def folded(self, stream: str, events: Sequence[RecordedEvent], after: Known | None = None) -> Known | None:
        """The stream after these events; None where it has none."""
        kind = self._kinds[stream.partition("-")[0]]
        for event in events:
            state, size = (after.state, after.size) if after else (None, OVERHEAD)
            size += len(event.configuration)
            after = Known(event.stream_version, kind.evolve(state, event), size)
        return after

    async def follow(self, feed: Feed) -> None:
        """Takes in what is appended from now on, here and elsewhere, until cancelled: the next event of a remembered
        stream, and the first of a new one."""
        position = feed.head
        while True:
            await feed.wait_beyond(position)
            try:
                events = await feed.read(position)
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("memory_waits", error=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)
                continue
            for event in events:
                if event.stream.partition("-")[0] in self._kinds:
                    self._take_in(event)
                position = event.position

    def _take_in(self, event: RecordedEvent) -> None:
        known = self._known.get(event.stream)
        if event.stream_version <= (known.version if known else 0):
            return
        if event.stream_version != (known.version if known else 0) + 1:
            self.forget([event.stream])
            return
        try:
            after = self.folded(event.stream, [event], known)
        except Exception as error:  # one that this release cannot read; who needs it hears of it
            log.warning("stream_forgotten", stream=event.stream, position=event.position, error=type(error).__name__)
            self.forget([event.stream])
            return
        assert after is not None
        self.keep(event.stream, after)


class Footing:
    """What one decision stands on. Each stream is looked up once, so that a decision sees one state of it."""

    def __init__(self, pool: Pool, memory: Memory, *, afresh: bool) -> None:
        self._pool = pool
        self._memory = memory
        self._afresh = afresh
        self._found: dict[str, Known | None] = {}
        self._becomes: dict[str, tuple[int, Any]] = {}
        self.remembered: set[str] = set()
        """The streams of which what was remembered was taken."""

    async def look_up(self, *streams: str) -> None:
        """Makes sure of these streams, in one round trip at most."""
        missing = []
        for stream in streams:
            if stream in self._found:
                continue
            if not self._afresh and (known := self._memory.find(stream)) is not None:
                self._found[stream] = known
                self.remembered.add(stream)
            else:
                missing.append(stream)
        if missing:
            for stream, events in (await read_each(self._pool, missing)).items():
                known = self._found[stream] = self._memory.folded(stream, events)
                if known is not None:
                    self._memory.keep(stream, known)

    async def load(self, kind: Kind[State], id: UUID | str) -> State | None:
        """The state of a stream; None where there is no such stream."""
        stream = stream_of(kind.category, id)
        if stream not in self._found:
            await self.look_up(stream)
        known = self._found[stream]
        return None if known is None else cast(State, known.state)

    def becomes(self, stream: str, version: int, state: object) -> None:
        """What the stream will be once the decision is recorded."""
        self._becomes[stream] = (version, state)

    def assertions(self, writes: Sequence[Write]) -> tuple[Write, ...]:
        """What makes an append depend on the streams that the decision stands on and does not write."""
        written = {write.stream for write in writes}
        return tuple(
            Write(stream, known.version if known else "none", ())
            for stream, known in self._found.items()
            if stream not in written
        )

    def recorded(self, size: int) -> None:
        """The decision is in the log: remembers what it has made of its streams; `size` is about that of each."""
        for stream, (version, state) in self._becomes.items():
            self._memory.keep(stream, Known(version, state, OVERHEAD + size))

    def forget(self) -> None:
        """The memory was wrong about one of these streams, if about any."""
        self._memory.forget(self._found)


def footing_of(request: Request) -> Footing:
    """What the decision of the request's command stands on; only commands have one."""
    footing: Footing = request.scope[FOOTING]
    return footing
