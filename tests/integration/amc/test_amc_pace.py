"""The pace of calls to AMC over all processes: rate, burst, 429s, repeated attempts, and instances left alone."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import msgspec
import pytest

from db.pool import Pool, open_pool
from service.amc.errors import AmcError
from service.amc.pace import PaceSettings, Place, SharedPace
from tests.postgres import Database

SETTINGS = PaceSettings(rate=100, burst=10, failures=3, pause=60, longest_pause=150, call_timeout=30)
THROTTLED = AmcError("Too Many Requests", kind="transient", code="throttled", status=429)
SICK = AmcError("Internal Server Error", kind="transient", code="server_error", status=500)


def pace_of(pool: Pool, account_id: str = "a", **settings: float) -> SharedPace:
    return SharedPace(pool, account_id, msgspec.structs.replace(SETTINGS, **settings))


async def refusal(pace: SharedPace, instance_id: str | None = None, *, again: bool = False) -> AmcError:
    with pytest.raises(AmcError) as raised:
        await pace.take(instance_id, again=again)
    assert raised.value.unsent
    assert not raised.value.may_have_landed
    return raised.value


def most_within(times: list[datetime], window: timedelta) -> int:
    return max(sum(first <= time < first + window for time in times) for first in times)


async def test_the_rate_holds_over_any_number_of_processes(database: Database) -> None:
    pools = [await open_pool(database.service_url, size=3) for _ in range(4)]
    try:
        taken = await asyncio.gather(*(pace_of(pools[n % 4]).take("i") for n in range(150)))
    finally:
        for pool in pools:
            await pool.close()
    times = sorted(place.goes_at for place in taken)
    for window in (0.05, 0.2, 0.5, 1.0):
        assert most_within(times, timedelta(seconds=window)) <= 10 + 100 * window + 1


async def test_calls_that_take_their_places_together_keep_the_rate(pool: Pool) -> None:
    pace = pace_of(pool)
    taken = await asyncio.gather(*(pace.take(f"i{n % 2}") for n in range(100)))
    assert [place.instance_id for place in taken] == ["i0", "i1"] * 50
    times = sorted(place.goes_at for place in taken)
    for window in (0.05, 0.2, 0.5):
        assert most_within(times, timedelta(seconds=window)) <= 10 + 100 * window + 1


async def test_a_call_that_would_wait_for_long_is_not_sent_and_takes_no_place(pool: Pool) -> None:
    pace = pace_of(pool, rate=0.1, burst=1)
    await pace.take(None)
    waits = [(await refusal(pace)).retry_after for _ in range(3)]
    assert all(wait is not None and 5 < wait <= 10 for wait in waits)


async def test_a_retry_after_is_kept_by_every_process_and_told(pool: Pool) -> None:
    pace = pace_of(pool)
    error = AmcError("Too Many Requests", kind="transient", code="throttled", status=429, retry_after=40)
    await pace.end(await pace.take("i"), error)
    refused = await refusal(pace_of(pool), "another")
    assert refused.code == "slowed"
    assert refused.retry_after is not None
    assert 30 < refused.retry_after <= 40
    assert "slowed by Amazon: next try" in refused.message
    await pace_of(pool, "another account").take("i")


async def test_calls_on_their_way_lower_the_rate_once_and_it_grows_back(pool: Pool) -> None:
    pace = pace_of(pool)
    places = [await pace.take("i") for _ in range(8)]
    for place in places:
        await pace.end(place, THROTTLED)
    assert 69 < await rate(pool) < 72
    later = await pace.take("i")
    await pace.end(later, THROTTLED)
    assert 48 < await rate(pool) < 53
    await pool.execute("UPDATE amc_paces SET rate_at = rate_at - interval '6 seconds'")
    assert 68 < await rate(pool) < 74
    await pool.execute("UPDATE amc_paces SET rate_at = rate_at - interval '1 hour'")
    assert await rate(pool) == 100


async def test_the_rate_never_falls_to_nothing(pool: Pool) -> None:
    pace = pace_of(pool)
    for _ in range(30):
        await pace.end(await pace.take("i"), THROTTLED)
        await pool.execute("UPDATE amc_paces SET due = '-infinity'")
    assert 100 / 64 <= await rate(pool) < 10


async def test_repeated_attempts_have_a_fifth_of_the_rate_and_delay_no_other(pool: Pool) -> None:
    pace = pace_of(pool, rate=10, burst=10)
    for _ in range(10):
        await pace.take("i", again=True)
    refused = await refusal(pace, "i", again=True)
    assert refused.retry_after is not None
    assert refused.retry_after <= 1  # a fifth of 10 a second, and the tenth has just gone
    await pace.take("i")


async def test_an_instance_that_fails_in_a_row_is_left_alone_and_others_are_not(pool: Pool) -> None:
    pace = pace_of(pool)
    await fail(pace, "i", 2)
    await pace.end(await pace.take("i"), None)  # a success in between: the count begins anew
    await fail(pace, "i", 3)
    refused = await refusal(pace_of(pool), "i")
    assert refused.code == "resting"
    assert refused.retry_after is not None
    assert 50 < refused.retry_after <= 60
    await pace.take("another")
    await pace.take(None)


async def test_one_call_tries_a_resting_instance_and_its_end_decides(pool: Pool) -> None:
    pace = pace_of(pool)
    await fail(pace, "i", 3)
    await time_passes(pool)
    ends = await asyncio.gather(*(pace.take("i") for _ in range(10)), return_exceptions=True)
    tries = [end for end in ends if isinstance(end, Place)]
    assert len(tries) == 1
    await pace.end(tries[0], SICK)
    twice = (await refusal(pace, "i")).retry_after
    assert twice is not None
    assert 110 < twice <= 120
    await time_passes(pool)
    await pace.end(await pace.take("i"), SICK)
    longest = (await refusal(pace, "i")).retry_after
    assert longest is not None
    assert 140 < longest <= 150
    await time_passes(pool)
    await pace.end(await pace.take("i"), None)
    await asyncio.gather(*(pace.take("i") for _ in range(10)))
    assert await pool.fetchval("SELECT count(*) FROM amc_breakers") == 0


async def test_a_try_that_nobody_hears_of_is_followed_by_another(pool: Pool) -> None:
    pace = pace_of(pool)
    await fail(pace, "i", 3)
    await time_passes(pool)
    await pace.take("i")
    await refusal(pace, "i")
    await pool.execute("UPDATE amc_breakers SET probe_until = clock_timestamp()")
    await pace.take("i")


async def test_calls_that_were_on_their_way_when_it_came_to_rest_change_nothing(pool: Pool) -> None:
    pace = pace_of(pool)
    early = [await pace.take("i") for _ in range(2)]
    await fail(pace, "i", 3)
    before = await pool.fetchrow("SELECT openings, open_until FROM amc_breakers")
    watched = [msgspec.structs.replace(place, watched=True) for place in early]
    await pace.end(watched[0], None)
    await pace.end(watched[1], SICK)
    assert await pool.fetchrow("SELECT openings, open_until FROM amc_breakers") == before


@pytest.mark.parametrize("code", ["refused", "not_found", "unauthorized", "account_revoked", "not_downloadable"])
async def test_what_amc_answers_to_a_request_is_no_failure_of_amc(pool: Pool, code: str) -> None:
    pace = pace_of(pool)
    await fail(pace, "i", 2)
    await pace.end(await pace.take("i"), AmcError("no", kind="permanent", code=code))  # type: ignore[arg-type]
    assert await pool.fetchval("SELECT count(*) FROM amc_breakers") == 0


async def fail(pace: SharedPace, instance_id: str, times: int) -> None:
    for _ in range(times):
        await pace.end(await pace.take(instance_id), SICK)


async def time_passes(pool: Pool) -> None:
    await pool.execute("UPDATE amc_breakers SET open_until = clock_timestamp()")


async def rate(pool: Pool) -> float:
    return float(await pool.fetchval("SELECT amc_rate(p, 100, clock_timestamp()) FROM amc_paces p"))
