"""The index of the log by blocks (`activity_blocks`): kept up with the log, a full block at a time.

It only says where to look: what is found is read from the log, and what it does not cover yet is looked
through there. See docs/decisions/0010-activity-by-blocks.md.
"""

from __future__ import annotations

import asyncio

import structlog

from db.pool import DATABASE_ERRORS, Connection, Pool, end_if_cancelled
from events.feed import Feed

log = structlog.get_logger()

BLOCK = 256
"""Positions in a block; the SQL function index_activity has the same number."""

MOST_AT_ONCE = 40
RETRY_AFTER = 2.0


async def index_activity(connection: Connection | Pool, most: int = MOST_AT_ONCE) -> int:
    """Indexes the next full blocks, at most so many; answers how many."""
    return await connection.fetchval("SELECT index_activity($1)", most)  # type: ignore[no-any-return]


def block_of(position: int) -> int:
    """The block that has the position; positions begin at 1."""
    return (position - 1) // BLOCK


class ActivityIndexer:
    """Indexes each block when it is full. Any number may run; the database lets one at a time work."""

    def __init__(self, pool: Pool, feed: Feed) -> None:
        self._pool = pool
        self._feed = feed

    async def run(self) -> None:
        """Follows the log until cancelled; outlives a database that goes away and comes back."""
        while True:
            head = self._feed.head
            try:
                while await index_activity(self._pool) == MOST_AT_ONCE:
                    pass
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("activity_index_waits", error=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)
                continue
            # The last position of the next full block, less one.
            await self._feed.wait_beyond(head // BLOCK * BLOCK + BLOCK - 1)
