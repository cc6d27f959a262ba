"""One process acts for a subscriber, and nobody moves its checkpoint from where it is not."""

from __future__ import annotations

import asyncio

import pytest

from db.pool import Pool
from events.subscription import Subscription, SubscriptionLost


async def test_the_checkpoint_is_where_it_was_moved_whoever_takes_it_next(pool: Pool) -> None:
    first, second = Subscription(pool, "reader"), Subscription(pool, "reader")
    assert await first.take()
    assert first.position == 0
    await first.move(5)
    assert not await second.take()
    assert second.left <= 0 < first.left
    await first.give_back()
    assert await second.take()
    assert second.position == 5
    other = Subscription(pool, "another reader")
    assert await other.take()
    assert other.position == 0


async def test_one_of_many_takes_it(pool: Pool) -> None:
    takers = [Subscription(pool, "reader") for _ in range(20)]
    assert sum(await asyncio.gather(*(taker.take() for taker in takers))) == 1


async def test_a_lease_that_has_ended_is_taken_and_its_holder_moves_nothing_any_more(pool: Pool) -> None:
    slow, quick = Subscription(pool, "reader", lease=0.0), Subscription(pool, "reader")
    assert await slow.take()
    assert slow.left <= 0
    assert await quick.take()
    await quick.move(7)
    with pytest.raises(SubscriptionLost):
        await slow.move(3)
    assert await pool.fetchval("SELECT position FROM subscriptions") == 7


async def test_a_checkpoint_that_was_moved_elsewhere_is_not_overwritten(pool: Pool) -> None:
    subscription = Subscription(pool, "reader")
    assert await subscription.take()
    await pool.execute("UPDATE subscriptions SET position = 3")
    with pytest.raises(SubscriptionLost):
        await subscription.move(9)
    assert await pool.fetchval("SELECT position FROM subscriptions") == 3


async def test_taking_it_again_prolongs_the_lease(pool: Pool) -> None:
    subscription = Subscription(pool, "reader")
    assert await subscription.take()
    before = await pool.fetchval("SELECT held_until FROM subscriptions")
    assert await subscription.take()
    assert await pool.fetchval("SELECT held_until FROM subscriptions") > before
