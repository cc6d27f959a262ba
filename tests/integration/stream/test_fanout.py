"""One read and one encoding for all readers, in bounded memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from db.pool import Pool
from events import ranges
from events.envelope import RecordedEvent
from events.feed import Feed
from events.ranges import RANGE, Ranges
from events.reader import read_after
from service.stream import cloudevents, fanout
from service.stream.fanout import CHUNK_BYTES, Chunk, Fanout
from service.stream.filters import EventFilter
from tests.recording import TEAM, append, note, request

EVERYTHING = EventFilter(teams=None)


async def add(pool: Pool, count: int, text: str = "a projection") -> None:
    async with pool.acquire() as connection:
        await append(connection, request("report-1", *(note(text) for _ in range(count))))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Behind which position each read of the table began."""
    begun: list[int] = []

    async def counted(pool: Pool, position: int, limit: int, **more: Any) -> list[RecordedEvent]:
        begun.append(position)
        return await read_after(pool, position, limit, **more)

    monkeypatch.setattr(ranges, "read_after", counted)
    return begun


async def through(fan: Fanout, last: int, after: int = 0, wanted: EventFilter = EVERYTHING) -> list[Chunk]:
    """What a reader gets up to the position."""
    chunks = []
    while after < last:
        chunks.append(await fan.after(after, wanted))
        after = chunks[-1].position
    return chunks


async def started(pool: Pool) -> Fanout:
    feed = Feed(pool)
    await feed.start()
    return Fanout(feed, streams_per_user=10)


async def test_readers_that_catch_up_together_read_each_range_once(pool: Pool, reads: list[int]) -> None:
    await add(pool, 3 * RANGE + 1)
    fan = await started(pool)
    every = await asyncio.gather(*(through(fan, 3 * RANGE + 1) for _ in range(50)))
    assert sorted(set(reads)) == reads == [0, RANGE, 2 * RANGE, 3 * RANGE]
    for chunks in every[1:]:
        assert all(one is other for one, other in zip(chunks, every[0], strict=True))
    begun_apart = await asyncio.gather(*(through(fan, 3 * RANGE, after) for after in (1, 7, 300)))
    assert [chunks[-1].position for chunks in begun_apart] == [3 * RANGE] * 3
    assert len(reads) == 4


async def test_an_event_is_encoded_once_for_all_filters(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    real = cloudevents._encode

    def counted(event: RecordedEvent, epoch: int) -> bytes:
        encoded.append(event.position)
        return real(event, epoch)

    monkeypatch.setattr(cloudevents, "_encode", counted)
    await add(pool, 40)
    fan = await started(pool)
    for wanted in (EVERYTHING, EventFilter(frozenset({TEAM})), EventFilter(None, beginnings=("log.",))):
        [chunk] = await through(fan, 40, wanted=wanted)
        assert chunk.frames.count(b"\n\n") == 40
        assert (chunk.told, chunk.at_head) == (40, True)
    assert encoded == list(range(1, 41))
    feed_running = asyncio.create_task(fan.feed.run())
    encoded.clear()
    await add(pool, 40)
    await fan.feed.wait_beyond(79)
    for wanted in (EVERYTHING, EventFilter(frozenset({TEAM})), EventFilter(None, beginnings=("log.",))):
        await through(fan, 80, 40, wanted)
    assert encoded == list(range(41, 81))
    feed_running.cancel()


async def test_a_chunk_is_bounded_but_holds_at_least_one_event(pool: Pool) -> None:
    await add(pool, 10, "x" * 30_000)
    await add(pool, 2, "x" * 200_000)
    fan = await started(pool)
    chunks = await through(fan, 12)
    assert [chunk.position for chunk in chunks] == [2, 4, 6, 8, 10, 11, 12]
    assert all(len(chunk.frames) <= CHUNK_BYTES for chunk in chunks[:5])
    assert [chunk.at_head for chunk in chunks] == [False] * 6 + [True]


async def test_what_is_kept_for_readers_is_bounded(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(ranges, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(ranges, "RANGE_BYTES", 50_000)
    await add(pool, 100, "x" * 10_000)
    fan = await started(pool)
    assert (await through(fan, 100))[-1].position == 100
    assert fan._chunk_bytes <= 100_000
    assert sum(len(chunk.frames) for chunk in fan._chunks.values()) <= 100_000
    kept = fan.feed._ranges
    assert 0 < kept._kept_bytes <= 100_000
    assert sum(map(ranges.size_of, kept._kept.values())) == kept._kept_bytes


async def test_a_range_ends_early_where_its_events_are_large(pool: Pool) -> None:
    await add(pool, 20, "x" * 1000)
    events = await read_after(pool, 0, 100, most_bytes=5000)
    assert [event.position for event in events] == [1, 2, 3, 4, 5]
    assert [event.position for event in await read_after(pool, 19, 100, most_bytes=1)] == [20]
    assert await read_after(pool, 20, 100, most_bytes=1) == []


async def test_a_reader_that_goes_away_takes_nothing_from_those_who_wait_for_the_same(
    pool: Pool, reads: list[int]
) -> None:
    await add(pool, 10)
    kept = Ranges(pool)
    first, second = (asyncio.create_task(kept.after(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert [event.position for event in await second] == list(range(1, 11))
    assert reads == [0]
    assert first.cancelled()


async def test_a_chunk_that_was_made_at_the_logs_end_is_made_anew_once_that_is_far_away(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "BATCH", 10)
    fan = await started(pool)
    running = asyncio.create_task(fan.feed.run())
    for more, position in ((3, 3), (5, 3), (5, 13)):
        last = fan.feed.head + more
        await add(pool, more)
        await fan.feed.wait_beyond(last - 1)
        assert (await fan.after(0, EVERYTHING)).position == position
    running.cancel()
