"""Ranges of the log behind what a feed remembers: read once for all who ask for them at about the same time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from db.pool import Pool
from events.envelope import RecordedEvent
from events.reader import read_after

RANGE = 500
"""Positions of a range, which ends at a multiple of it: readers who are about as far read the same one."""

RANGE_BYTES = 4 * 1024 * 1024
"""Of bodies: a range with more is read in parts."""

KEPT_BYTES = 4 * RANGE_BYTES
"""Of the parts that were asked for last: readers who catch up side by side get them from there."""

READS_AT_ONCE = 2
"""However many readers catch up, the rest of the process needs connections, too."""


class Ranges:
    """What a range holds never changes but by what is appended at the log's end."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kept: OrderedDict[int, list[RecordedEvent]] = OrderedDict()
        self._kept_bytes = 0
        self._reading: dict[int, asyncio.Task[list[RecordedEvent]]] = {}
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    async def after(self, position: int) -> list[RecordedEvent]:
        """Events after the position, as many of its range as are at hand, or none where the log ends there. Raises
        LogDamaged and what the database raises."""
        start = position - position % RANGE
        while True:
            part = self._kept.get(start)
            if part is None or (part[-1].position <= position and not _whole(part)):
                part = await self._read_once(start)
            else:
                self._kept.move_to_end(start)
            if not part or part[-1].position > position:
                return part[position - start :]
            if not _whole(part):
                return []
            start = part[-1].position

    async def _read_once(self, start: int) -> list[RecordedEvent]:
        reading = self._reading.get(start)
        if reading is None:
            reading = self._reading[start] = asyncio.create_task(self._read(start))
            reading.add_done_callback(lambda task: self._read_ended(start, task))
        return await asyncio.shield(reading)  # it is for others, too, when this one is cancelled

    async def _read(self, start: int) -> list[RecordedEvent]:
        async with self._turns:
            return await read_after(self._pool, start, RANGE - start % RANGE, most_bytes=RANGE_BYTES)

    def _read_ended(self, start: int, task: asyncio.Task[list[RecordedEvent]]) -> None:
        del self._reading[start]
        if task.cancelled() or task.exception() is not None or not task.result():
            return  # whoever waits for it has the exception
        if (before := self._kept.pop(start, None)) is not None:
            self._kept_bytes -= size_of(before)
        self._kept[start] = task.result()
        self._kept_bytes += size_of(task.result())
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= size_of(self._kept.popitem(last=False)[1])


def _whole(part: list[RecordedEvent]) -> bool:
    """Whether it ends where a part does, and not where the log did when it was read."""
    return part[-1].position % RANGE == 0 or size_of(part) >= RANGE_BYTES


def size_of(events: list[RecordedEvent]) -> int:
    """Bytes of their stored JSON."""
    return sum(len(event.configuration) + len(event.metadata) for event in events)
