"""An account that Amazon refuses in the middle of a segment: nothing fails, nothing runs twice, and whoever is
killed on the way, it goes on when the account is connected again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest

from db.pool import Pool
from events.envelope import new_id, stream_of
from events.reader import read_stream
from service.amc.accounts import DEFAULT
from service.amc.sandbox import Faults, RunningSandbox
from service.backfill.broker.port import Delivery
from service.backfill.worker import Worker
from tests.integration.backfill.test_crashes import DAY, Bench, Held, Killed, Reaper, bench, message_of, sandbox

__all__ = ["bench", "sandbox"]  # fixtures

REVOKED = Faults(revoked_tokens=("r",))


class Step:
    """A worker whose deliveries the test hands out one by one."""

    def __init__(self, bench: Bench, session: aiohttp.ClientSession) -> None:
        self.bench = bench
        self.held = Held()
        self.worker = self.process(session)
        self.session = session

    def process(self, session: aiohttp.ClientSession, kill_at: int | None = None) -> Worker:
        self.reaper = Reaper(kill_at)
        return self.bench.process(session, self.held, self.reaper)

    async def admit(self) -> UUID:
        """Gives the slot of the one segment that waits for it."""
        await self.bench.seed.project()
        [row] = await self.bench.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()])
        await self.held.publish([message_of(row, "submit")])
        segment_id: UUID = row["segment_id"]
        return segment_id

    async def take(self, steps: int = 1) -> None:
        """Hands out so many deliveries."""
        for _ in range(steps):
            delay, message = self.held.messages.popleft()
            await asyncio.sleep(delay)
            await self.worker.handle(Delivery(message, redelivered=False))

    async def finish(self) -> None:
        """Hands out all that there is."""
        while self.held.messages:
            await self.take()

    async def reconnect(self) -> None:
        """What a worker does when it starts, and the consent is given again."""
        self.bench.sandbox.sandbox.faults.set(Faults())
        await self.bench.seed.project()
        await self.bench.accounts(self.session, Reaper(None)).try_held()
        await self.bench.seed.project()


@asynccontextmanager
async def steps_of(bench: Bench) -> AsyncIterator[Step]:
    await bench.seed.collection(1, last=DAY)
    async with aiohttp.ClientSession() as session:
        yield Step(bench, session)


async def types_of(pool: Pool, category: Any, entity_id: object) -> list[str]:
    events = await read_stream(pool, stream_of(category, str(entity_id)))
    return [event.event_type.partition(".")[2] for event in events]


async def assert_completed_once(bench: Bench, segment_id: UUID, executions: int = 1) -> None:
    events = await read_stream(bench.pool, stream_of("segment", segment_id))
    types = [event.event_type.partition(".")[2] for event in events]
    assert types.count("completed") == types.count("submitted") == 1, types
    assert types[-1] == "completed"
    assert "retry_scheduled" not in types
    assert {event.data.attempt for event in events if event.event_type == "segment.dispatched"} == {1}  # type: ignore[attr-defined]
    assert len(bench.sandbox.sandbox.executions) == executions


async def test_before_its_create_a_segment_is_given_back_and_its_attempt_does_not_count(bench: Bench) -> None:
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        bench.sandbox.sandbox.faults.set(REVOKED)
        await step.take()
        assert await types_of(bench.pool, "segment", segment_id) == ["dispatched", "released"]
        assert await types_of(bench.pool, "account", DEFAULT) == ["revoked"]
        assert not step.held.messages
        await bench.seed.project()
        assert await bench.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()]) == []
        assert await bench.pool.fetchval("SELECT count(*) FROM segment_leases") == 0
        assert await bench.pool.fetchval("SELECT attempts FROM report_data_weeks") == 0

        await step.reconnect()
        assert await types_of(bench.pool, "account", DEFAULT) == ["revoked", "reconnected"]
        assert await step.admit() == segment_id
        await step.finish()
        await assert_completed_once(bench, segment_id)


async def test_a_read_model_that_trails_does_not_admit_what_was_just_given_back(bench: Bench) -> None:
    async with steps_of(bench) as step:
        await step.admit()
        bench.sandbox.sandbox.faults.set(REVOKED)
        await step.take()
        await bench.seed.project()
        await bench.pool.execute("UPDATE amc_account_states SET status = 'connected', cause = NULL")
        assert await bench.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()]) == []


@pytest.mark.parametrize("stands_at", ["submitted", "executed"], ids=["poll", "fetch"])
async def test_later_on_it_waits_with_its_execution_and_amazon_is_left_alone(bench: Bench, stands_at: str) -> None:
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        before: list[str] = []
        while stands_at not in before:  # a poll may come before AMC is done
            await step.take()
            before = await types_of(bench.pool, "segment", segment_id)
        assert before[-1] == stands_at
        bench.sandbox.sandbox.faults.set(REVOKED)
        await step.take()
        asked = bench.sandbox.sandbox.stats.requests.total()
        await step.take(3)
        assert bench.sandbox.sandbox.stats.requests.total() == asked
        assert await types_of(bench.pool, "segment", segment_id) == before
        assert await types_of(bench.pool, "account", DEFAULT) == ["revoked"]

        await step.reconnect()
        await step.finish()
        await assert_completed_once(bench, segment_id)


async def test_a_result_may_be_fetched_long_after_it_was_ready(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        await step.take(2)
        bench.sandbox.sandbox.faults.set(REVOKED)
        await step.take()
        await step.reconnect()
        # The execution ended longer ago than a fetch may take; the account was connected again just now.
        executed_at = (await read_stream(bench.pool, stream_of("segment", segment_id)))[-1].recorded_at
        reconnected_at = (await read_stream(bench.pool, stream_of("account", DEFAULT)))[-1].recorded_at
        assert reconnected_at > executed_at
        monkeypatch.setattr("service.backfill.steps.FETCH_FOR", (reconnected_at - executed_at) * 0.999)
        bench.sandbox.sandbox.faults.set(Faults(error_rate=1.0))
        now = await bench.pool.fetchval("SELECT clock_timestamp()")
        monkeypatch.setattr("service.backfill.turn.Turn.database_time", _at(reconnected_at))
        assert now > reconnected_at
        await step.take()
        bench.sandbox.sandbox.faults.set(Faults())
        await step.finish()
        await assert_completed_once(bench, segment_id)


def _at(moment: Any) -> Any:
    async def database_time(_: Any) -> Any:
        return moment

    return database_time


async def test_a_create_that_may_have_landed_is_looked_for_when_the_account_is_back(bench: Bench) -> None:
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        bench.sandbox.sandbox.faults.set(Faults(drop_every=1))
        await step.take()
        assert len(bench.sandbox.sandbox.executions) == 1
        bench.sandbox.sandbox.faults.set(REVOKED)
        # It waits out the create's time-out first, then asks, and is refused.
        while "revoked" not in await types_of(bench.pool, "account", DEFAULT):
            await step.take()
        await step.take(2)
        assert await types_of(bench.pool, "segment", segment_id) == ["dispatched", "submission_started"]
        assert await bench.pool.fetchval("SELECT holds_slot FROM segment_leases")

        await step.reconnect()
        await step.finish()
        await assert_completed_once(bench, segment_id)


@pytest.mark.parametrize("faults", [Faults(expire_tokens_every=2), Faults(expire_tokens_every=3)])
async def test_tokens_that_expire_in_the_middle_of_calls_hold_nothing(bench: Bench, faults: Faults) -> None:
    async with steps_of(bench) as step:
        bench.sandbox.sandbox.faults.set(faults)
        segment_id = await step.admit()
        await step.finish()
        assert await types_of(bench.pool, "account", DEFAULT) == []
        await assert_completed_once(bench, segment_id)


async def test_a_refusal_of_one_call_is_not_the_accounts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        expired: list[bool] = [True, True]
        monkeypatch.setattr(bench.sandbox.sandbox.faults, "token_expires", lambda: bool(expired) and expired.pop())
        await step.take()  # 401, and 401 again with a fresh token; then the account is asked, and is well
        assert await types_of(bench.pool, "account", DEFAULT) == []
        assert (await types_of(bench.pool, "segment", segment_id))[-1] == "retry_scheduled"


async def test_a_default_account_without_credentials_holds_its_work_and_says_what_to_set(
    bench: Bench, sandbox: RunningSandbox
) -> None:
    bench.settings = msgspec.structs.replace(bench.settings, amc_client_secret="", amc_refresh_token="")
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        await step.take()
        assert await types_of(bench.pool, "segment", segment_id) == ["dispatched", "released"]
        [event] = await read_stream(bench.pool, stream_of("account", DEFAULT))
        assert event.data.cause == "unreadable"  # type: ignore[attr-defined]
        assert "REPORT_BUILDER_AMC_CLIENT_SECRET and REPORT_BUILDER_AMC_REFRESH_TOKEN" in event.data.error  # type: ignore[attr-defined]
        assert sandbox.sandbox.stats.tokens_issued == 0


async def test_killed_at_any_call_a_held_segment_is_run_once_when_the_account_is_back(bench: Bench) -> None:
    points = await _held_and_killed(bench, None, executions=1)
    assert points >= 8
    for kill_at in range(1, points + 1):
        await _held_and_killed(bench, kill_at, executions=1 + kill_at)


async def _held_and_killed(bench: Bench, kill_at: int | None, *, executions: int) -> int:
    """One segment of an account that was refused, its worker killed; answers the points of that process."""
    bench.sandbox.sandbox.faults.set(REVOKED)
    async with steps_of(bench) as step:
        segment_id = await step.admit()
        step.worker = step.process(step.session, kill_at)
        try:
            await step.take()
        except Killed:
            step.held.messages.clear()
            killed = step.reaper.points
            step.worker = step.process(step.session)
            await bench.pool.execute("UPDATE segment_leases SET lease_until = clock_timestamp()")
            for row in await bench.pool.fetch("SELECT * FROM renew_expired_leases($1, 60)", [new_id()]):
                await step.held.publish([message_of(row, row["step"])])
            if step.held.messages:
                await step.take()
        else:
            killed = step.reaper.points
        await step.reconnect()
        types = await types_of(bench.pool, "account", DEFAULT)
        assert types[-1] == "reconnected", (kill_at, types)
        assert all(before != after for before, after in pairwise(types)), types
        if not step.held.messages:
            assert await step.admit() == segment_id
        await step.finish()
        await assert_completed_once(bench, segment_id, executions)
        return killed
