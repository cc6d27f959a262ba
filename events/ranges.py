"""Ranges of the log behind what a feed remembers: read once for all who ask for them at about the same time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from db.pool import Pool
from events.envelope import RecordedEvent
from events.reader import read_after

RANGE = 500
"""Positions of a range. Ranges end at multiples of it, so that readers who began apart soon ask for the same ones."""

RANGE_BYTES = 4 * 1024 * 1024
"""Of stored JSON, where fewer than RANGE events are as large: a range then ends earlier."""

KEPT_BYTES = 4 * RANGE_BYTES
"""Of the ranges that were asked for last: readers who catch up side by side get them from there."""

READS_AT_ONCE = 2
"""However many readers catch up, the rest of the process needs connections, too."""


class Ranges:
    """What a range holds never changes: the log is only appended to."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kept: OrderedDict[int, list[RecordedEvent]] = OrderedDict()
        self._kept_bytes = 0
        self._reading: dict[int, asyncio.Task[list[RecordedEvent]]] = {}
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    async def after(self, position: int) -> list[RecordedEvent]:
        """The events after the position, up to the end of its range, or none where the log ends there. It must not
        be changed. Raises LogDamaged and what the database raises."""
        if (kept := self._kept.get(position)) is not None:
            self._kept.move_to_end(position)
            return kept
        reading = self._reading.get(position)
        if reading is None:
            reading = self._reading[position] = asyncio.create_task(self._read(position))
            reading.add_done_callback(lambda task: self._read_ended(position, task))
        return await asyncio.shield(reading)  # it is for others, too, when this one is cancelled

    async def _read(self, position: int) -> list[RecordedEvent]:
        async with self._turns:
            return await read_after(self._pool, position, RANGE - position % RANGE, most_bytes=RANGE_BYTES)

    def _read_ended(self, position: int, task: asyncio.Task[list[RecordedEvent]]) -> None:
        del self._reading[position]
        if task.cancelled() or task.exception() is not None:
            return  # whoever waits for it has the exception
        events = task.result()
        # The last one of the log is still growing: the ring has it, or will.
        size = size_of(events)
        if size >= RANGE_BYTES or (events and events[-1].position % RANGE == 0):
            self._kept[position] = events
            self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= size_of(self._kept.popitem(last=False)[1])


def size_of(events: list[RecordedEvent]) -> int:
    """Bytes of their stored JSON."""
    return sum(len(event.configuration) + len(event.metadata) for event in events)
