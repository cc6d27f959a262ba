"""One page of activity: candidates from the index and from what it does not cover yet, then the events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import asyncpg
import msgspec

from db.pool import Connection, Pool
from projections.activity import BLOCK, block_of
from service.audit.queries import (
    BOUNDS,
    Filters,
    Order,
    blocks_statement,
    facets,
    positions_statement,
    stream_statement,
)

# What one page may cost at most: events that it looks at because the index has not come to them, and rows of the
# index that it holds against each other where several facets must meet. Beyond, it ends early with a cursor.
MAX_UNINDEXED = 4 * BLOCK
MAX_INDEX_ROWS = 8192


class Page(msgspec.Struct, frozen=True):
    """Rows of the view, in the page's order; `next_cursor` is the position to go on behind, None at the end."""

    rows: list[asyncpg.Record]
    next_cursor: int | None


class Span(msgspec.Struct, frozen=True):
    """Positions from `first` to `last`, of which the index has those up to `indexed`."""

    first: int
    last: int
    indexed: int


class Candidates(msgspec.Struct, frozen=True):
    """Positions that may pass, in the page's order; `looked_to` is the cursor behind all that they stand for, None
    where that is the rest of the span."""

    positions: list[int]
    looked_to: int | None


async def read_page(
    pool: Connection | Pool, filters: Filters, order: Order, cursor: int | None, limit: int, *, bodies: bool = False
) -> Page:
    """The next `limit` events beyond the cursor that pass. It may have fewer, or none, and lead on all the same."""
    span = await _span(pool, filters, order, cursor)
    if span.first > span.last:
        return Page([], None)
    candidates = Candidates([], None)
    if filters.stream is not None:
        statement, values = stream_statement(filters, order, span.first - 1, span.last + 1, limit + 1, bodies=bodies)
    else:
        find = _newest if order == "newest" else _oldest
        candidates = await find(pool, filters, span, limit + 1)
        statement, values = positions_statement(filters, order, candidates.positions, limit + 1, bodies=bodies)
    rows = await pool.fetch(statement, *values)
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1]["position"])
    return Page(rows, candidates.looked_to)


async def _span(pool: Connection | Pool, filters: Filters, order: Order, cursor: int | None) -> Span:
    """Where a page may look: between the times, and beyond the cursor."""
    bounds = await pool.fetchrow(BOUNDS, filters.since, filters.until)
    assert bounds is not None
    first = 1 if filters.since is None else bounds["before_since"] + 1
    last = bounds["head"] if filters.until is None else bounds["before_until"]
    if cursor is not None and order == "newest":
        last = min(last, cursor - 1)
    elif cursor is not None:
        first = max(first, cursor + 1)
    return Span(first, last, bounds["indexed"])


async def _newest(pool: Connection | Pool, filters: Filters, span: Span, wanted: int) -> Candidates:
    """Down from the span's last position."""
    unindexed_from = max(span.first, span.indexed + 1)
    lowest = max(unindexed_from, span.last - MAX_UNINDEXED + 1)
    positions = list(range(span.last, lowest - 1, -1))
    if lowest > unindexed_from:
        return Candidates(positions, lowest)
    if (top := min(span.last, span.indexed)) < span.first:
        return Candidates(positions, None)
    first, last = block_of(span.first), block_of(top)
    low = max(first, last - _most_blocks(filters) + 1)
    found = await _indexed(pool, filters, "newest", low, last, wanted, span)
    if len(found) >= wanted:
        return Candidates(positions + found, found[-1])
    return Candidates(positions + found, low * BLOCK + 1 if low > first else None)


async def _oldest(pool: Connection | Pool, filters: Filters, span: Span, wanted: int) -> Candidates:
    """Up from the span's first position."""
    found: list[int] = []
    if span.first <= (top := min(span.last, span.indexed)):
        first, last = block_of(span.first), block_of(top)
        high = min(last, first + _most_blocks(filters) - 1)
        found = await _indexed(pool, filters, "oldest", first, high, wanted, span)
        if len(found) >= wanted:
            return Candidates(found, found[-1])
        if high < last:
            return Candidates(found, (high + 1) * BLOCK)
    unindexed_from = max(span.first, span.indexed + 1)
    highest = min(span.last, unindexed_from + MAX_UNINDEXED - 1)
    return Candidates(found + list(range(unindexed_from, highest + 1)), highest if highest < span.last else None)


def _most_blocks(filters: Filters) -> int:
    """How many blocks a page may pass over. One facet alone is found at once, wherever it is."""
    (_, values), *others = facets(filters)
    return MAX_INDEX_ROWS // (max(len(values), 1) * (1 + len(others))) if others else 2**40


async def _indexed(
    pool: Connection | Pool, filters: Filters, order: Order, first: int, last: int, wanted: int, span: Span
) -> list[int]:
    """The next positions in these blocks that pass and lie in the span: `wanted` or more, where there are."""
    # Each block has one at least; but of the span's first and last block it may lie outside.
    statement, values = blocks_statement(filters, order, first, last, wanted + 2)
    rows = await pool.fetch(statement, *values)
    positions = (position for row in rows for position in _positions(row["block"], row["bits"], order))
    return list(islice((each for each in positions if span.first <= each <= span.last), wanted))


def _positions(block: int, bits: asyncpg.BitString, order: Order) -> Iterator[int]:
    """The positions of a block whose bits are set, in the page's order. The first position is the highest bit."""
    left = int.from_bytes(bits.bytes, "big")
    while left:
        bit = (left & -left if order == "newest" else left).bit_length()
        left ^= 1 << bit - 1
        yield (block + 1) * BLOCK - bit + 1
