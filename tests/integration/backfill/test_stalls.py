"""Steps that kill their workers: counted where nothing came of them, and never where something did."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from db.pool import Pool
from events.envelope import new_id, stream_of
from events.reader import read_stream
from events.types.segment import Executed, Resumed, Stalled, Submitted
from service.backfill.admission import Admission
from service.backfill.broker import DELIVERY_LIMIT, GaveUp, PublishFailed, StepMessage
from service.backfill.broker.port import Delivery
from service.backfill.steps import STEPS
from service.backfill.turn import Turn
from tests.backfill import Seed
from tests.integration.backfill.test_crashes import DAY, Bench, Held, Killed, Reaper, bench, message_of, sandbox

__all__ = ["bench", "sandbox"]  # fixtures


async def begin(pool: Pool, row: Any, sequence: int = 1, *, redelivered: bool = False, survived: bool = False) -> int:
    return await pool.fetchval(  # type: ignore[no-any-return]
        "SELECT begin_step($1, $2, 'poll', $3, $4, 60, $5)",
        row["segment_id"], row["fence"], sequence, redelivered, survived,
    )  # fmt: skip


async def renew(pool: Pool) -> Any:
    """The lease that ends now, given anew."""
    await pool.execute("UPDATE segment_leases SET lease_until = clock_timestamp() WHERE lease_until < 'infinity'")
    rows = await pool.fetch("SELECT * FROM renew_expired_leases($1, 60)", [new_id()])
    return rows[0] if rows else None


async def lease_seconds(pool: Pool) -> float:
    return float(await pool.fetchval("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM segment_leases"))


class Segment:
    """One that was given a slot, in the hands of a test."""

    def __init__(self, seed: Seed, collection_id: UUID, row: Any) -> None:
        self.seed, self.collection_id, self.row = seed, collection_id, row

    async def record(self, data: Any) -> None:
        await self.seed.append(stream_of("segment", self.row["segment_id"]), data)


@pytest.fixture
async def segment(pool: Pool) -> Any:
    seed = Seed(pool)
    await seed.instance()
    collection_id = await seed.collection(1)
    await seed.project()
    [row] = await pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()])
    yield Segment(seed, collection_id, row)
    await seed.writer.close()


async def test_what_is_begun_again_and_again_is_counted_until_the_next_order(pool: Pool, segment: Segment) -> None:
    row = segment.row
    assert await begin(pool, row) == 1
    assert await begin(pool, row) == 0  # a copy
    assert [await begin(pool, row, redelivered=True) for _ in range(3)] == [2, 3, 4]
    assert await begin(pool, row, redelivered=True, survived=True) == 4  # the database was away, nobody died
    assert await begin(pool, row, sequence=2) == 1
    assert await begin(pool, row, redelivered=True) == 0  # out of date


async def test_a_lease_given_anew_counts_on_where_nothing_was_recorded_and_from_the_start_where_it_was(
    pool: Pool, segment: Segment
) -> None:
    assert await begin(pool, segment.row) == 1
    row = await renew(pool)
    assert await begin(pool, row) == 2
    row = await renew(pool)
    assert [await begin(pool, row), await begin(pool, row, redelivered=True)] == [3, 4]
    await segment.record(Submitted(segment.collection_id, "e", False))
    row = await renew(pool)
    assert await begin(pool, row) == 1


async def test_what_nobody_begins_is_sent_again_at_ever_longer_intervals(pool: Pool, segment: Segment) -> None:
    lengths = []
    for _ in range(6):
        row = await renew(pool)
        lengths.append(round(await lease_seconds(pool) / 60))
    assert lengths == [1, 2, 4, 8, 16, 16]
    assert await begin(pool, row) == 1
    await renew(pool)
    assert round(await lease_seconds(pool) / 60) == 1


@pytest.mark.parametrize(
    ("step", "in_flight", "kept"),
    [("submit", False, None), ("submit", True, True), ("poll", True, True), ("fetch", False, False)],
)
async def test_a_stalled_segment_keeps_its_slot_only_where_amc_may_run_it_and_is_not_sent_again(
    pool: Pool, segment: Segment, step: Any, in_flight: bool, kept: bool | None
) -> None:
    if step == "fetch":
        await segment.record(Executed(segment.collection_id, "e", ()))
    await segment.record(Stalled(segment.collection_id, 1, step, 10, in_flight, "it died"))
    for _ in range(2):
        assert await renew(pool) is None
        assert await pool.fetchval("SELECT holds_slot FROM segment_leases") is kept
    await segment.seed.project()
    assert await pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()]) == []

    await segment.record(Resumed(segment.collection_id, 1, step))
    await segment.seed.project()
    if kept is None:
        [row] = await pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()])
    else:
        [row] = await pool.fetch("SELECT * FROM renew_expired_leases($1, 60)", [new_id()])
        assert row["step"] == step
        assert await pool.fetchval("SELECT holds_slot FROM segment_leases") is kept
    assert await begin(pool, row) == 1
    await segment.seed.project()
    assert await pool.fetchval("SELECT attempts FROM report_data_weeks") == 1


async def test_killed_as_often_as_the_limit_says_it_stalls_and_is_given_up(bench: Bench) -> None:
    await bench.seed.collection(1, last=DAY)
    await bench.seed.project()
    [row] = await bench.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()])
    message = message_of(row, "submit")

    async def deliver(kill_at: int | None, *, redelivered: bool = True) -> None:
        """To a new process."""
        async with aiohttp.ClientSession() as session:
            await bench.process(session, Held(), Reaper(kill_at)).handle(Delivery(message, redelivered))

    for number in range(DELIVERY_LIMIT):
        with pytest.raises(Killed):
            await deliver(3, redelivered=number > 0)  # just after it has begun, and nothing is recorded
    for why in ("10 times in a row at the step submit", "has stalled"):
        with pytest.raises(GaveUp, match=why):
            await deliver(None)
    events = await read_stream(bench.pool, stream_of("segment", row["segment_id"]))
    assert [event.event_type for event in events] == ["segment.dispatched", "segment.stalled"]
    assert len(bench.sandbox.sandbox.executions) == 0


async def test_what_was_handed_out_before_is_begun_one_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    running = most = 0

    async def slow(turn: Turn) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    monkeypatch.setitem(STEPS, "submit", slow)
    await bench.seed.collection(6, last=DAY)
    await bench.seed.project()
    rows = await bench.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id() for _ in range(6)])
    messages = [message_of(row, "submit") for row in rows]
    async with aiohttp.ClientSession() as session:
        worker = bench.process(session, Held(), Reaper(None))
        await asyncio.gather(*(worker.handle(Delivery(message, redelivered=True)) for message in messages))
    assert most == 1


class Away(Held):
    """A broker that takes nothing for some calls."""

    durable = True

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.refused = 0
        self._calls = calls

    async def publish(self, messages: Sequence[StepMessage], *, delay: float = 0) -> None:
        if self.refused < self._calls:
            self.refused += 1
            raise PublishFailed(messages, "as the test asked")
        await super().publish(messages, delay=delay)


async def test_a_worker_keeps_its_delivery_until_the_broker_takes_the_next_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.backfill.turn.PUBLISH_PAUSE", 0.01)
    await bench.seed.collection(1, last=DAY)
    await bench.seed.project()
    [row] = await bench.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()])
    broker = Away(3)
    async with aiohttp.ClientSession() as session:
        await bench.process(session, broker, Reaper(None)).handle(Delivery(message_of(row, "submit"), False))
    assert broker.refused == 3
    [(_, order)] = broker.messages
    assert (order.step, order.sequence) == ("poll", 2)


async def test_admission_gives_nothing_more_while_the_broker_takes_nothing_and_sends_what_it_gave_first(
    bench: Bench,
) -> None:
    await bench.seed.collection(3, last=DAY, parallel_limit=1)
    await bench.seed.project()
    broker = Away(3)
    admission = Admission(bench.pool, Feedless(), bench.seed.writer, broker, bench.settings)  # type: ignore[arg-type]
    with pytest.raises(PublishFailed):
        await admission.admit()
    for _ in range(2):
        with pytest.raises(PublishFailed):
            await admission.send_unsent()
    await admission.send_unsent()
    await admission.send_unsent()
    [(_, order)] = broker.messages
    assert (order.step, order.sequence) == ("submit", 1)
    assert await admission.admit() == 0


class Feedless:
    """A feed that nobody listens to."""

    def appended(self, position: int) -> None:
        return
