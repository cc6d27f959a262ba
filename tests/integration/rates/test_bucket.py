"""A person's bucket in one process: few round trips, nothing counted served twice or late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from db.pool import Pool, open_pool
from events.envelope import new_id
from service.rates.bucket import Bucket
from service.rates.policies import Policy
from tests.postgres import Database

HOUR = 3600  # its slices of six minutes end during no test


async def counted(pool: Pool, bucket: Bucket) -> int:
    """What the database has counted for the bucket's person."""
    total: int = await pool.fetchval(
        "SELECT sum(c) FROM request_rates, unnest(counts) AS c WHERE user_id = $1", bucket._user_id
    )
    return total


class CountingPool:
    """A pool that counts its round trips, and fails or waits where a test wants it."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.trips = pool, 0
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def fetchrow(self, *arguments: Any) -> Any:
        self.trips += 1
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return await self.pool.fetchrow(*arguments)


def bucket_of(pool: Any, quota: int, window: int = HOUR) -> Bucket:
    return Bucket(pool, new_id(), Policy("reads", quota, window))


async def test_requests_that_come_together_are_counted_in_one_round_trip(pool: Pool) -> None:
    counting = CountingPool(pool)
    bucket = bucket_of(counting, 30)
    standings = await asyncio.gather(*(bucket.take() for _ in range(50)))
    # The first goes at once, the others while it is under way.
    assert counting.trips <= 2
    assert [standing.refused for standing in standings] == [False] * 30 + [True] * 20


async def test_a_busy_process_asks_seldom(pool: Pool) -> None:
    counting = CountingPool(pool)
    bucket = bucket_of(counting, 100_000)
    for _ in range(1000):
        assert not (await bucket.take()).refused
    assert counting.trips < 40


async def test_one_request_now_and_then_has_nothing_counted_ahead(pool: Pool) -> None:
    bucket = bucket_of(pool, 100_000)
    await bucket.take()
    assert await counted(pool, bucket) == 1


async def test_several_processes_share_one_quota(database: Database) -> None:
    policy, user_id = Policy("reads", 400, HOUR), new_id()
    pools = [await open_pool(database.service_url, size=2) for _ in range(3)]
    buckets = [Bucket(pool, user_id, policy) for pool in pools]

    async def client(number: int) -> int:
        served = 0
        for turn in range(20):
            served += not (await buckets[(number + turn) % 3].take()).refused
        return served

    assert sum(await asyncio.gather(*(client(number) for number in range(50)))) == 400
    for pool in pools:
        await pool.close()


async def test_what_a_process_took_ahead_is_lost_with_it_and_given_to_nobody_else(pool: Pool) -> None:
    policy, user_id = Policy("reads", 200, HOUR), new_id()
    first = Bucket(pool, user_id, policy)
    served = 0
    while first._held == 0:
        served += not (await first.take()).refused
    held = first._held  # the process ends here, by kill -9
    second = Bucket(pool, user_id, policy)
    while not (await second.take()).refused:
        served += 1
    assert held > 0
    assert served == 200 - held


async def test_what_was_counted_ahead_is_not_served_after_its_slice(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_of(pool, 10_000)
    while bucket._held < 2:
        await bucket.take()
    before, held = await counted(pool, bucket), bucket._held
    bucket._held_until = 0.0  # its slice has ended
    await bucket.take()
    assert await counted(pool, bucket) == before + 1, "it was counted anew"
    assert bucket._held == 0 < held


async def test_a_refusal_costs_no_round_trip_until_there_is_room(pool: Pool) -> None:
    counting = CountingPool(pool)
    bucket = bucket_of(counting, 1)
    assert [(await bucket.take()).refused for _ in range(100)] == [False] + [True] * 99
    assert counting.trips == 2


async def test_a_window_later_there_is_room_again(pool: Pool) -> None:
    bucket = bucket_of(pool, 3, window=1)
    assert not (await bucket.take()).refused
    async with asyncio.timeout(30):
        while not (await bucket.take()).refused:
            pass
        while (standing := await bucket.take()).refused:
            await asyncio.sleep(standing.seconds)
    assert not standing.refused


async def test_a_database_that_is_away_fails_those_who_wait_and_nobody_later(pool: Pool) -> None:
    counting = CountingPool(pool)
    counting.error = ConnectionRefusedError()
    bucket = bucket_of(counting, 10)
    failed = await asyncio.gather(*(bucket.take() for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in failed] == [ConnectionRefusedError] * 5
    counting.error = None
    assert (await bucket.take()).remaining == 9


async def test_a_caller_that_goes_away_is_counted_and_holds_up_nobody(pool: Pool) -> None:
    counting = CountingPool(pool)
    counting.gate = asyncio.Event()
    bucket = bucket_of(counting, 10)
    gone, stays = asyncio.create_task(bucket.take()), asyncio.create_task(bucket.take())
    await asyncio.sleep(0)
    gone.cancel()
    counting.gate.set()
    assert not (await stays).refused
    assert await counted(pool, bucket) == 2
