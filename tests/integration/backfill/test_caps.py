"""Limits at once that collections share: of the account, the team and the user, beside those of the instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from db.pool import Pool
from events.envelope import new_id, stream_of
from events.types.account import AccountLimitsSet, AccountRevoked
from events.types.team import TeamLimitsSet
from tests.backfill import TEAM, Seed


@pytest.fixture
async def seed(pool: Pool) -> AsyncIterator[Seed]:
    seed = Seed(pool)
    yield seed
    await seed.writer.close()


async def admit(pool: Pool) -> list[Any]:
    return await pool.fetch("SELECT * FROM admit_segments($1, $2)", [new_id() for _ in range(50)], 60.0)


def of_account(most: int | None) -> AccountLimitsSet:
    return AccountLimitsSet(max_concurrent=most, requests_per_second=None, burst=None)


def of_team(most: int | None, per_user: int | None = None) -> TeamLimitsSet:
    return TeamLimitsSet(max_concurrent=most, max_concurrent_per_user=per_user)


async def test_an_account_is_limited_over_all_its_instances(pool: Pool, seed: Seed) -> None:
    for name in ("amc1", "amc2"):
        await seed.instance(name)
        await seed.collection(20, instance_id=name)
    await seed.append(stream_of("account", "default"), of_account(5))
    await seed.project()
    assert len(await admit(pool)) == 5
    assert await admit(pool) == []


async def test_the_limits_of_an_account_do_not_give_a_revoked_one_its_work_back(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    await seed.collection(20)
    await seed.append(stream_of("account", "default"), AccountRevoked("refused", "invalid_grant"))
    await seed.append(stream_of("account", "default"), of_account(5))
    await seed.project()
    assert await admit(pool) == []
    row = await pool.fetchrow("SELECT status, error, max_concurrent FROM amc_account_states")
    assert row is not None
    assert tuple(row) == ("reconnect", "invalid_grant", 5)


async def test_a_team_and_each_of_its_users_are_limited(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=50)
    users = [uuid4() for _ in range(3)]
    mine = [await seed.collection(20, user=user) for user in users]
    other = await seed.collection(20, team="other", user=users[0])
    await seed.append(stream_of("team", TEAM), of_team(7, per_user=3))
    await seed.project()
    given: Counter[UUID] = Counter(row["collection_id"] for row in await admit(pool))
    assert sorted(given[each] for each in mine) == [2, 2, 3]
    assert given[other] == 10  # the other team has no limit but its collection's


async def test_limits_change_what_is_given_from_then_on(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=50)
    await seed.collection(50, parallel_limit=50)
    await seed.append(stream_of("team", TEAM), of_team(4))
    await seed.project()
    assert len(await admit(pool)) == 4
    await seed.append(stream_of("team", TEAM), of_team(2))
    await seed.project()
    assert await admit(pool) == []
    await seed.append(stream_of("team", TEAM), of_team(None))
    await seed.project()
    assert len(await admit(pool)) == 45  # one of the instance's fifty is kept for scheduled and once-only runs


async def test_an_instance_on_which_amc_fails_gets_nothing_until_it_is_tried(pool: Pool, seed: Seed) -> None:
    for name in ("amc1", "amc2"):
        await seed.instance(name)
        await seed.collection(5, instance_id=name)
    await seed.project()
    await pool.execute(
        "INSERT INTO amc_breakers (instance_id, failures, openings, open_until, error)"
        " VALUES ('amc1', 5, 1, clock_timestamp() + interval '1 hour', 'HTTP 500')"
    )
    await admit(pool)
    instances = "SELECT DISTINCT instance_id FROM segment_leases ORDER BY 1"
    assert [row[0] for row in await pool.fetch(instances)] == ["amc2"]
    await pool.execute("UPDATE amc_breakers SET open_until = clock_timestamp()")
    await admit(pool)
    assert [row[0] for row in await pool.fetch(instances)] == ["amc1", "amc2"]
