"""The feed: from the table, then live; no reader misses, repeats or reorders an event, whatever is lost."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from db.pool import Pool, open_pool
from events.feed import BATCH, Feed
from events.reader import LogDamaged
from events.writer import AppendWriter
from tests.postgres import Database
from tests.recording import append, note, request


@asynccontextmanager
async def following(pool: Pool, *, ring_size: int = 8192) -> AsyncIterator[Feed]:
    """A feed at work, as in a process of its own."""
    feed = Feed(pool, ring_size=ring_size)
    await feed.start()
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        if not (await asyncio.wait((running,), timeout=10))[0]:
            pool.terminate()  # its connections would be waited for
            pytest.fail("the feed does not end")


async def collect(feed: Feed, after: int, up_to: int, *, pause: float = 0) -> list[int]:
    """The positions that a follower gets, up to this one; `pause` is how long it takes over a batch."""
    positions: list[int] = []
    async with asyncio.timeout(20):
        async for events in feed.follow(after):
            positions += [event.position for event in events]
            await asyncio.sleep(pause)
            if positions and positions[-1] >= up_to:
                return positions
    raise AssertionError


async def listening(connection: Pool | asyncpg.Connection[Any], feeds: int) -> None:
    """Waits until so many feeds listen for notifications."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    async with asyncio.timeout(5):
        while await connection.fetchval(count) < feeds:
            await asyncio.sleep(0.02)


async def add(pool: Pool, count: int) -> None:
    """Events that nobody is told of."""
    async with pool.acquire() as connection:
        await append(connection, request("report-1", *(note() for _ in range(count))))


async def test_a_follower_catches_up_from_the_table_and_goes_on_live(pool: Pool) -> None:
    await add(pool, 3 * BATCH + 7)
    async with following(pool) as feed:
        assert feed.head == 3 * BATCH + 7
        writer = AppendWriter(pool, on_appended=feed.appended)
        follower = asyncio.create_task(collect(feed, 0, 3 * BATCH + 107))
        middle = asyncio.create_task(collect(feed, BATCH, 3 * BATCH + 107))
        for _ in range(100):
            await writer.append(request("report-2"))
        assert await follower == list(range(1, 3 * BATCH + 108))
        assert await middle == list(range(BATCH + 1, 3 * BATCH + 108))


async def test_a_follower_hears_at_once_of_what_its_own_process_appends(pool: Pool) -> None:
    async with following(pool) as feed:
        writer = AppendWriter(pool, on_appended=feed.appended)
        for _ in range(3):
            started = time.monotonic()
            appended = await writer.append(request("report-1"))
            assert await feed.wait_beyond(appended.last_position - 1, timeout=5)
            assert time.monotonic() - started < 0.5


async def test_a_slow_reader_outside_the_ring_still_gets_everything(pool: Pool) -> None:
    async with following(pool, ring_size=10) as feed:
        writer = AppendWriter(pool, on_appended=feed.appended)
        slow = asyncio.create_task(collect(feed, 0, 400, pause=0.02))
        for _ in range(20):
            await asyncio.gather(*(writer.append(request("report-1")) for _ in range(20)))
        assert await slow == list(range(1, 401))


async def test_ring_and_table_give_the_same_events(pool: Pool) -> None:
    async with following(pool, ring_size=10) as feed:
        await add(pool, 30)
        assert await feed.wait_beyond(29, timeout=5)
        for after in range(32):
            for limit in (1, 5, 100):
                positions = [event.position for event in await feed.read(after, limit)]
                assert positions == list(range(after + 1, min(after + limit, 30) + 1))


async def test_where_every_hint_is_lost_the_table_is_looked_at_each_second(pool: Pool) -> None:
    async with following(pool) as feed:
        await asyncio.sleep(0.1)
        await add(pool, 5)
        assert not await feed.wait_beyond(4, timeout=0.2)
        assert await collect(feed, 0, 5) == [1, 2, 3, 4, 5]


async def test_a_notification_of_another_process_wakes_a_follower(database: Database, pool: Pool) -> None:
    other = await open_pool(database.service_url)
    async with following(pool) as feed, following(other) as others_feed:
        writer = AppendWriter(other, on_appended=others_feed.appended)
        await listening(pool, 2)
        waits = []
        for number in range(1, 6):
            await asyncio.sleep(0.3)  # somewhere between two looks at the table
            started = time.monotonic()
            await writer.append(request("report-1"))
            assert await feed.wait_beyond(number - 1, timeout=5)
            waits.append(time.monotonic() - started)
        # Without a notification the wait would be anything up to a second.
        assert max(waits) < 0.6
        assert sum(waits) < 1
    await other.close()


async def test_a_feed_survives_a_database_that_ends_all_its_connections(database: Database, pool: Pool) -> None:
    admin = await asyncpg.connect(database.admin_url)
    async with following(pool) as feed:
        writer = AppendWriter(pool, on_appended=feed.appended)
        follower = asyncio.create_task(collect(feed, 0, 30))
        for number in range(3):
            for _ in range(10):
                await writer.append(request("report-1"))
            if number < 2:
                ended = await admin.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                assert ended >= 1
        assert await follower == list(range(1, 31))
        # It listens again too, and what others append is heard of.
        await listening(admin, 1)
    await admin.close()


async def test_a_feed_ends_when_it_is_told_to_also_with_dead_connections(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    for moment in range(5):
        # A pool each: the next feed could not begin on connections that are dead and do not know it yet.
        async with await open_pool(database.service_url) as pool, following(pool) as feed:
            await listening(admin, 1)
            feed.appended(1)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(moment * 0.005)
    await admin.close()


async def test_a_feed_stops_where_an_event_was_removed(database: Database, pool: Pool) -> None:
    feed = Feed(pool)
    await feed.start()
    await add(pool, 5)
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ALTER TABLE report_builder_audit DISABLE TRIGGER ALL")
    await admin.execute("DELETE FROM report_builder_audit WHERE position = 3")
    await admin.close()
    with pytest.raises(ExceptionGroup) as stopped:
        async with asyncio.timeout(10):
            await feed.run()
    assert stopped.group_contains(LogDamaged, match="position 3 is missing")
    assert feed.head == 0


async def test_waiting_ends_after_its_time(pool: Pool) -> None:
    async with following(pool) as feed:
        started = time.monotonic()
        assert not await feed.wait_beyond(0, timeout=0.1)
        assert 0.1 <= time.monotonic() - started < 2


async def test_a_feed_that_ends_leaves_no_listener_on_a_connection_of_the_pool(pool: Pool) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with following(pool):
            await listening(pool, 1)
    assert [str(each.message) for each in warned] == []  # asyncpg warns of it


async def test_large_events_leave_the_ring_and_are_still_followed(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.feed.RING_BYTES", 50_000)
    async with following(pool) as feed:
        writer = AppendWriter(pool, on_appended=feed.appended)
        for number in range(20):
            await writer.append(request(f"report-{number}", note("x" * 10_000)))
        await feed.wait_beyond(19, timeout=5)
        assert len(feed._ring) == 4
        assert await collect(feed, 0, 20) == list(range(1, 21))
        await writer.close()
