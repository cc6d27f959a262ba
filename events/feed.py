"""Following the log: catch up from the table, then live.

One reader per process keeps the newest events in a ring, decoded once for all its followers. A follower
inside the ring is served from memory, one behind it from the table: nobody is dropped, and nobody skips.
Notifications are only hints; what counts is what the table holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.envelope import RecordedEvent
from events.epochs import EPOCHS_STREAM, Epochs, read_epochs
from events.ranges import Ranges, size_of
from events.reader import LogDamaged, LogRewound, read_after, read_head
from events.rounds import Rounds

log = structlog.get_logger()

CHANNEL = "report_builder_events"
NOTIFY_INTERVAL = 0.01
# A hint is worth no wait for the disk: what it tells of is there already.
NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"
POLL_INTERVAL = 1.0
BATCH = 500

# What the ring may hold, in bytes of stored JSON: decoded and encoded for readers it is a few times as much.
RING_BYTES = 64 * 1024 * 1024


class Feed:
    """The log as this process sees it. `run` must be running for followers to hear of new events, and `tell` in
    a process without any."""

    def __init__(self, pool: Pool, *, ring_size: int = 8192) -> None:
        self._pool = pool
        self._ranges = Ranges(pool)
        self._ring: deque[RecordedEvent] = deque()
        self._ring_size = ring_size
        self._ring_bytes = 0
        self._head = 0
        self._seen: RecordedEvent | None = None
        self.epochs = Epochs()
        """Of the log up to `head`."""
        self._hint = asyncio.Event()
        self._moved = asyncio.Condition()
        self._to_notify = 0
        self._untold = asyncio.Event()
        self.rounds = Rounds()

    @property
    def head(self) -> int:
        """The last position that this process has seen."""
        return self._head

    def appended(self, position: int) -> None:
        """This process has appended up to `position`: look, and tell the others soon."""
        self._to_notify = max(self._to_notify, position)
        self._untold.set()
        self._hint.set()

    async def start(self) -> None:
        """Learns where the log ends, and its epochs; what is before is read from the table."""
        self._head = await read_head(self._pool)
        self.epochs = await read_epochs(self._pool)

    async def run(self) -> None:
        """Keeps the ring up until cancelled; outlives a database that goes away and comes back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notify())
            tasks.create_task(self._listen())
            tasks.create_task(self._fill())

    async def tell(self) -> None:
        """All that a process needs which appends and follows nothing: tells the others, until cancelled."""
        await self._notify()

    async def read(self, after: int, limit: int = BATCH) -> list[RecordedEvent]:
        """At most `limit` events after the position, from memory where they are there; from the table a range is read
        once for all who ask for it."""
        ring = self._ring
        if ring and ring[0].position <= after + 1:
            start = after + 1 - ring[0].position
            return [ring[index] for index in range(start, min(start + limit, len(ring)))]
        return (await self._ranges.after(after))[:limit]

    async def wait_beyond(self, position: int, timeout: float | None = None) -> bool:
        """Waits until the log goes beyond the position; False where `timeout` seconds passed first."""
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(lambda: self._head > position)
        except TimeoutError:
            return False
        return True

    async def follow(self, after: int) -> AsyncIterator[list[RecordedEvent]]:
        """All events after the position, in order, in batches; an empty batch each time the end is reached."""
        while True:
            events = await self.read(after)
            yield events
            if events:
                after = events[-1].position
            else:
                await self.wait_beyond(after)

    async def _fill(self) -> None:
        while True:
            self._hint.clear()  # before the look, so that a hint during it leads to another
            self.rounds.begin()
            try:
                events = await self._look()
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("feed_waits_for_database", error=type(error).__name__)
                await asyncio.sleep(POLL_INTERVAL)
                continue
            except LogDamaged as error:
                log.critical("log_damaged", error=str(error))
                raise
            except LogRewound as error:
                log.critical("log_rewound", error=str(error))
                raise
            self.rounds.end()
            if events:
                self._remember(events)
                async with self._moved:
                    self._seen = events[-1]
                    self._head = self._seen.position
                    self._moved.notify_all()
                if len(events) == BATCH:
                    continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._hint.wait()

    async def _look(self) -> list[RecordedEvent]:
        """The next events. The last one that was seen is read with them: a log that no longer has it was restored to
        an earlier state beneath this process, however far it has come since. Whatever went on from here would mix
        two histories, so the process ends, and begins again."""
        if self._head == 0:
            return await read_after(self._pool, 0, BATCH)
        events = await read_after(self._pool, self._head - 1, BATCH + 1)
        if not events or events[0].id != (self._seen or events[0]).id:
            raise LogRewound(f"the log has lost the event at position {self._head}, which this process has seen")
        self._seen = events[0]
        return events[1:]

    def _remember(self, events: list[RecordedEvent]) -> None:
        """Puts the newest events into the ring, and takes the oldest out as far as it is too long or too large."""
        if begun := [event for event in events if event.stream == EPOCHS_STREAM]:
            known = {event.id for event in self.epochs.begun}
            self.epochs = Epochs([*self.epochs.begun, *(event for event in begun if event.id not in known)])
        ring = self._ring
        ring.extend(events)
        self._ring_bytes += size_of(events)
        while len(ring) > self._ring_size or (self._ring_bytes > RING_BYTES and len(ring) > 1):
            self._ring_bytes -= size_of([ring.popleft()])

    async def _notify(self) -> None:
        """One notification for all appends of the last 10 ms: NOTIFY takes a lock of the whole server."""
        while True:
            await self._untold.wait()
            await asyncio.sleep(NOTIFY_INTERVAL)
            self._untold.clear()
            try:
                await self._pool.execute(NOTIFY, CHANNEL, str(self._to_notify))
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("notification_lost", error=type(error).__name__)  # the others poll every second

    async def _listen(self) -> None:
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await connection.add_listener(CHANNEL, self._heard)
                    try:
                        while not connection.is_closed():
                            await asyncio.sleep(POLL_INTERVAL)
                    finally:
                        await connection.remove_listener(CHANNEL, self._heard)
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("feed_listens_again", error=type(error).__name__)
            await asyncio.sleep(POLL_INTERVAL)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if int(str(payload)) > self._head:
            self._hint.set()
