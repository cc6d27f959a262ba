"""One feed for all live readers of a process: they are woken together, and share what is made for them.

What a reader gets next depends on its filter and on how far it has come, and on nothing else: readers for whom the
two are equal, which at the log's end is all with the same filter, get the same bytes. No queue belongs to a reader:
one that is slow asks later, for what is then in memory or in the table.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent
from events.epochs import Epochs
from events.feed import BATCH, Feed
from service.problems import Refused
from service.stream.cloudevents import cloud_event
from service.stream.filters import EventFilter

# What one send has at most, but for an event that is larger: it bounds what waits for a reader that takes nothing.
CHUNK_BYTES = 64 * 1024

# Of the chunks that were asked for last.
KEPT_BYTES = 16 * 1024 * 1024

# All live readers are woken at most once in this time for each of them, in seconds. To wake one and to write to its
# socket takes about as long: the more readers there are the more events come in one chunk, and half the time is left.
PAUSE_PER_READER = 0.0001


class Chunk(msgspec.Struct, frozen=True):
    """What comes next: the frames of the events that pass, joined, and the `position` up to which all have been looked
    at. `told` is the last position that is in the frames, 0 where there are none. `at_head`: the log ended there."""

    position: int
    frames: bytes
    told: int
    at_head: bool


class Fanout:
    """The live readers of this process. `run` must be running for them to hear of new events. `streams_per_user`: how
    many one user may have open at once."""

    def __init__(self, feed: Feed, *, streams_per_user: int) -> None:
        self.feed = feed
        self._streams_per_user = streams_per_user
        self._open: Counter[UUID] = Counter()
        self._waiting: set[asyncio.Event] = set()
        self._chunks: OrderedDict[tuple[int, EventFilter], Chunk] = OrderedDict()
        self._chunk_bytes = 0

    async def run(self) -> None:
        """Wakes the readers whenever the log has grown, until cancelled."""
        seen = 0
        while True:
            await self.feed.wait_beyond(seen)
            seen = self.feed.head
            for reader in self._waiting:
                reader.set()
            await asyncio.sleep(PAUSE_PER_READER * len(self._waiting))

    @contextmanager
    def place(self, user_id: UUID) -> Iterator[asyncio.Event]:
        """A place for one more reader of the user; the event is set whenever the log has grown. Raises Refused."""
        if self._open[user_id] >= self._streams_per_user:
            raise Refused(
                "too_many_streams",
                f"you have {self._streams_per_user} streams open on this server; close one, or follow several filters"
                " in one",
                extra={"limit": self._streams_per_user},
                retry_after=5,
            )
        woken = asyncio.Event()
        self._open[user_id] += 1
        self._waiting.add(woken)
        try:
            yield woken
        finally:
            self._waiting.discard(woken)
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]

    async def after(self, position: int, wanted: EventFilter) -> Chunk:
        """What comes after the position. Raises LogDamaged and what the database raises."""
        key = (position, wanted)
        if (chunk := self._kept(key)) is not None:
            return chunk
        events = await self.feed.read(position)
        if (chunk := self._kept(key)) is not None:  # another reader was first
            return chunk
        chunk = _chunk(events, position, wanted, self.feed)
        if events:
            self._keep(key, chunk)
        return chunk

    def _kept(self, key: tuple[int, EventFilter]) -> Chunk | None:
        chunk = self._chunks.get(key)
        # One that was made when the log ended there may be far from its end by now.
        if chunk is None or (chunk.at_head and self.feed.head - chunk.position >= BATCH):
            return None
        self._chunks.move_to_end(key)
        return chunk

    def _keep(self, key: tuple[int, EventFilter], chunk: Chunk) -> None:
        if (before := self._chunks.pop(key, None)) is not None:
            self._chunk_bytes -= _size(before)
        self._chunks[key] = chunk
        self._chunk_bytes += _size(chunk)
        while self._chunk_bytes > KEPT_BYTES:
            self._chunk_bytes -= _size(self._chunks.popitem(last=False)[1])


def _chunk(events: Iterable[RecordedEvent], position: int, wanted: EventFilter, feed: Feed) -> Chunk:
    frames: list[bytes] = []
    head, epochs = feed.head, feed.epochs
    size = told = 0
    for event in events:
        if wanted.passes(event):
            frames.append(frame(event, epochs))
            size += len(frames[-1])
            if size > CHUNK_BYTES and len(frames) > 1:
                frames.pop()
                break
            told = event.position
        position = event.position
    return Chunk(position, b"".join(frames), told, position >= head)


def _size(chunk: Chunk) -> int:
    return len(chunk.frames) + 500  # with what surrounds it


def frame(event: RecordedEvent, epochs: Epochs) -> bytes:
    """The event as a server-sent one."""
    data = cloud_event(event, epochs)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.event_type.encode(), data)
