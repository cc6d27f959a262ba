"""take_requests: what the database counts, over all who ask at once and over time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from db.pool import Pool, open_pool
from events.envelope import new_id
from service.rates.bucket import TAKE
from tests.postgres import Database

SLICES = 11


class Rate:
    """One person's row, asked for with the same policy each time."""

    def __init__(self, pool: Pool, quota: int, window: int = 3600) -> None:
        self.pool, self.user_id, self.quota, self.window = pool, new_id(), quota, window

    async def take(self, needed: int = 1, ahead: int = 0) -> asyncpg.Record:
        row = await self.pool.fetchrow(TAKE, self.user_id, "reads", needed, ahead, self.quota, self.window)
        assert row is not None
        return row

    async def pass_slices(self, count: int) -> None:
        """As if so many slices of time had gone by."""
        await self.pool.execute("UPDATE request_rates SET slice = slice - $2 WHERE user_id = $1", self.user_id, count)

    async def counts(self) -> list[int]:
        row: list[int] = await self.pool.fetchval("SELECT counts FROM request_rates WHERE user_id = $1", self.user_id)
        return row


async def test_a_quota_can_be_used_up_at_once_and_not_exceeded(pool: Pool) -> None:
    rate = Rate(pool, 5)
    assert [(await rate.take())["remaining"] for _ in range(5)] == [4, 3, 2, 1, 0]
    assert (await rate.take())["granted"] == 0
    assert sum(await rate.counts()) == 5


async def test_what_is_left_is_given_where_more_is_asked_for(pool: Pool) -> None:
    rate = Rate(pool, 5)
    row = await rate.take(needed=8, ahead=8)
    assert (row["granted"], row["remaining"]) == (5, 0)


async def test_a_sixteenth_of_what_is_left_is_counted_ahead_at_most(pool: Pool) -> None:
    rate = Rate(pool, 161)
    assert (await rate.take(needed=1, ahead=64))["granted"] == 1 + 10
    assert (await rate.take(needed=1, ahead=3))["granted"] == 1 + 3
    small = Rate(pool, 10)
    assert (await small.take(needed=1, ahead=64))["granted"] == 1


async def test_requests_count_for_the_whole_window_and_not_longer(pool: Pool) -> None:
    rate = Rate(pool, 3)
    assert (await rate.take(needed=2))["granted"] == 2
    await rate.pass_slices(1)
    assert (await rate.take(needed=2))["granted"] == 1
    await rate.pass_slices(SLICES - 2)  # the first two are in the oldest slice that counts
    assert (await rate.take())["granted"] == 0
    await rate.pass_slices(1)
    assert (await rate.take(needed=9))["granted"] == 2
    await rate.pass_slices(1)
    assert (await rate.take(needed=9))["granted"] == 1
    await rate.pass_slices(1000)
    assert (await rate.take(needed=9))["granted"] == 3


async def test_who_waits_until_the_reset_finds_room(pool: Pool) -> None:
    rate = Rate(pool, 2)
    width = rate.window / 10
    row = await rate.take()
    assert 0 < row["slice_left"] <= width
    assert row["resets_in"] == pytest.approx(row["slice_left"] + 10 * width)
    await rate.pass_slices(4)
    row = await rate.take(needed=2)  # the first one goes first
    assert row["granted"] == 1
    assert row["resets_in"] == pytest.approx(row["slice_left"] + 6 * width)


async def test_a_clock_that_goes_back_gives_nothing(pool: Pool) -> None:
    rate = Rate(pool, 2)
    await rate.take(needed=2)
    await rate.pass_slices(-5)
    assert (await rate.take())["granted"] == 0
    assert sum(await rate.counts()) == 2


async def test_persons_and_policies_do_not_count_for_each_other(pool: Pool) -> None:
    rate = Rate(pool, 1)
    assert (await rate.take())["granted"] == 1
    assert (await Rate(pool, 1).take())["granted"] == 1
    row: Any = await pool.fetchrow(TAKE, rate.user_id, "writes", 1, 0, 1, 3600)
    assert row["granted"] == 1


async def test_however_many_ask_at_once_the_sum_is_the_quota(database: Database) -> None:
    pool = await open_pool(database.service_url, size=20)
    rate, chance = Rate(pool, 500), random.Random(7)
    asks = [(chance.randint(1, 9), chance.randint(0, 9)) for _ in range(200)]
    rows = await asyncio.gather(*(rate.take(*ask) for ask in asks))
    assert sum(row["granted"] for row in rows) == 500
    assert sum(await rate.counts()) == 500
    await pool.close()


async def test_no_window_ever_holds_more_than_the_quota(pool: Pool) -> None:
    """A random walk of asks and passing slices, held against the definition."""
    chance = random.Random(11)
    rate = Rate(pool, 20)
    granted: list[int] = [0]  # by slice
    for _ in range(300):
        if chance.random() < 0.5:
            passed = chance.choice((1, 1, 2, 5, 12))
            await rate.take(needed=0)
            await rate.pass_slices(passed)
            granted += [0] * passed
        wanted = chance.randint(1, 8)
        row = await rate.take(wanted, chance.randint(0, 5))
        room = 20 - sum(granted[-SLICES:])
        assert min(wanted, room) <= row["granted"] <= room
        granted[-1] += row["granted"]
        assert row["remaining"] == room - row["granted"]
