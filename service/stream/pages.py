"""A page of the log: the next events that pass, as many as are asked for, of a bounded part and size."""

from __future__ import annotations

import msgspec

from db.pool import Pool
from events.envelope import RecordedEvent
from events.feed import BATCH, Feed
from events.ranges import size_of
from events.reader import read_after
from service.stream.filters import EventFilter

# A page looks at no more events than this, however few its filter lets through; the next one goes on there.
MAX_LOOKED_AT = 20 * BATCH

# Of bodies, but for the last event.
MAX_BYTES = 4 * 1024 * 1024


class Page(msgspec.Struct, frozen=True):
    """`events` pass; the next page begins behind `position`; `more` is false where the log ends there."""

    events: list[RecordedEvent]
    position: int
    more: bool


async def read_page(pool: Pool, feed: Feed, after: int, limit: int, wanted: EventFilter) -> Page:
    """The page after the position. Raises LogDamaged."""
    found: list[RecordedEvent] = []
    size = 0
    position = end = after
    while len(found) < limit and size < MAX_BYTES and position - after < MAX_LOOKED_AT:
        # The feed may be a moment behind the table; whoever has just written finds it here all the same.
        events = await feed.read(position) or await read_after(pool, position, BATCH)
        if not events:
            break
        end = events[-1].position
        for event in events:
            position = event.position
            if wanted.passes(event):
                found.append(event)
                size += size_of([event])
                if len(found) == limit or size >= MAX_BYTES:
                    break
    return Page(found, position, position < max(end, feed.head))
