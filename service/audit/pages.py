"""One page of activity: looks through blocks of the log until it is full, or has looked at enough."""

from __future__ import annotations

import asyncpg
import msgspec

from db.pool import Connection, Pool
from projections.activity import BLOCK, block_of
from service.audit.queries import (
    BOUNDS,
    Filters,
    Order,
    blocks_statement,
    rows_statement,
    stream_statement,
)

# What one page may cost at most, whatever its filters: blocks of the log that it reads, and blocks of the index
# that it passes over. Beyond, it ends early and says where the next one goes on.
MAX_BLOCKS = 64
MAX_SPAN = 4096

# Blocks that are read at once: where many pass, the first few are enough.
READ_AT_ONCE = (4, 16, 44)


class Page(msgspec.Struct, frozen=True):
    """Rows of the view, in the page's order; `next_cursor` is the position to go on behind, None at the end."""

    rows: list[asyncpg.Record]
    next_cursor: int | None


class Span(msgspec.Struct, frozen=True):
    """Positions after `after` and before `before`; indexed up to the block `last_indexed`."""

    after: int
    before: int
    last_indexed: int

    @property
    def empty(self) -> bool:
        return self.before - self.after <= 1

    @property
    def first_block(self) -> int:
        return block_of(self.after + 1)

    @property
    def last_block(self) -> int:
        return block_of(self.before - 1)


async def read_page(
    pool: Connection | Pool, filters: Filters, order: Order, cursor: int | None, limit: int, *, bodies: bool = False
) -> Page:
    """The next `limit` events beyond the cursor that pass. It may have fewer, or none, and go on all the same."""
    span = await _span(pool, filters, order, cursor)
    if span.empty:
        return Page([], None)
    if filters.stream is not None:
        statement, values = stream_statement(filters, order, span.after, span.before, limit + 1, bodies=bodies)
        return _page(await pool.fetch(statement, *values), limit, None)
    blocks, looked_to = await _blocks(pool, filters, order, span)
    rows: list[asyncpg.Record] = []
    for size in READ_AT_ONCE:
        chunk, blocks = blocks[:size], blocks[size:]
        if not chunk or len(rows) > limit:
            break
        statement, values = rows_statement(
            filters, order, chunk, span.after, span.before, limit + 1 - len(rows), bodies=bodies
        )
        rows += await pool.fetch(statement, *values)
    return _page(rows, limit, looked_to)


async def _span(pool: Connection | Pool, filters: Filters, order: Order, cursor: int | None) -> Span:
    """Where a page may look: between the times, and beyond the cursor."""
    bounds = await pool.fetchrow(BOUNDS, filters.since, filters.until)
    assert bounds is not None
    after = bounds["before_since"] if filters.since is not None else 0
    before = (bounds["before_until"] if filters.until is not None else bounds["head"]) + 1
    if cursor is not None and order == "newest":
        before = min(before, cursor)
    elif cursor is not None:
        after = max(after, cursor)
    return Span(after, before, bounds["last_indexed"])


async def _blocks(pool: Connection | Pool, filters: Filters, order: Order, span: Span) -> tuple[list[int], int | None]:
    """Blocks to read, and the cursor behind all that they cover; None where they cover the rest of the span.

    Blocks that the index has not come to are among them, whatever they hold.
    """
    newest = order == "newest"
    low, high = span.first_block, span.last_block
    if newest:
        low = max(low, high - MAX_SPAN + 1)
    else:
        high = min(high, low + MAX_SPAN - 1)
    unindexed = list(range(max(low, span.last_indexed + 1), high + 1))
    statement, values = blocks_statement(filters, order, low, min(high, span.last_indexed), MAX_BLOCKS)
    indexed = [row["block"] for row in await pool.fetch(statement, *values)]
    blocks = (unindexed[::-1] + indexed if newest else indexed + unindexed)[:MAX_BLOCKS]
    if newest:
        lowest = blocks[-1] if len(blocks) == MAX_BLOCKS else low
        return blocks, lowest * BLOCK + 1 if lowest > span.first_block else None
    highest = blocks[-1] if len(blocks) == MAX_BLOCKS else high
    return blocks, (highest + 1) * BLOCK if highest < span.last_block else None


def _page(rows: list[asyncpg.Record], limit: int, looked_to: int | None) -> Page:
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1]["position"])
    return Page(rows, looked_to)
