"""Admission: who gets a slot, how many at once, and what happens to slots that nobody is heard of."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from db.pool import Pool, open_pool
from events.append import AppendRequest, Conflict, Write
from events.envelope import NewEvent, new_id, stream_of
from events.reader import read_stream
from events.types.collection import CollectionCancelled, CollectionHeld, CollectionPaused
from events.types.segment import (
    Completed,
    Dispatched,
    Executed,
    Failed,
    Retried,
    RetryScheduled,
    SubmissionStarted,
    Submitted,
)
from tests.backfill import TEAM, Seed
from tests.postgres import Database


@pytest.fixture
async def seed(pool: Pool) -> AsyncIterator[Seed]:
    seed = Seed(pool)
    yield seed
    await seed.writer.close()


async def admit(pool: Pool, most: int = 50, lease: float = 60) -> list[Any]:
    return await pool.fetch("SELECT * FROM admit_segments($1, $2)", [new_id() for _ in range(most)], lease)


async def renew(pool: Pool, *, lost: bool = False) -> list[Any]:
    if lost:
        await pool.execute("UPDATE segment_leases SET lease_until = clock_timestamp()")
    return await pool.fetch("SELECT * FROM renew_expired_leases($1, $2)", [new_id() for _ in range(50)], 60.0)


async def complete(seed: Seed, segment_id: UUID, collection_id: UUID) -> None:
    await seed.append(stream_of("segment", segment_id), Completed(collection_id, "e", 1, 1, "c"))


async def test_never_more_than_the_parallel_limit(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    await seed.collection(20, parallel_limit=3)
    await seed.project()
    assert len(await admit(pool)) == 3
    await seed.project()
    assert await admit(pool) == []


async def test_many_admissions_at_once_never_overshoot(database: Database, pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=10)
    for _ in range(4):
        await seed.collection(30, parallel_limit=6)
    await seed.project()
    pools = [await open_pool(database.service_url, size=2) for _ in range(6)]
    try:
        for _ in range(10):
            answers = await asyncio.gather(*(admit(each) for each in pools))
            admitted = [row for rows in answers for row in rows]
            assert len(admitted) == 9  # one of ten is kept for scheduled and once-only runs
            assert len({row["segment_id"] for row in admitted}) == 9
            assert await pool.fetchval("SELECT count(*) FROM segment_leases") == 9
            for row in admitted:
                await complete(seed, row["segment_id"], row["collection_id"])
            await seed.project()
    finally:
        for each in pools:
            await each.close()


async def test_a_slot_is_kept_for_interactive_work(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=4)
    await seed.collection(20)
    await seed.project()
    assert len(await admit(pool)) == 3
    once = await seed.collection(1, lane="interactive")
    await seed.project()
    assert [row["collection_id"] for row in await admit(pool)] == [once]


async def test_an_instance_with_one_slot_gives_it_to_bulk_work_too(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=1)
    await seed.collection(5)
    await seed.project()
    assert len(await admit(pool)) == 1


async def test_slots_go_round_teams_then_users_then_collections(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=13)
    one, two = uuid4(), uuid4()
    big = [await seed.collection(30, team="a", user=one) for _ in range(3)]
    other = await seed.collection(30, team="a", user=two)
    small = await seed.collection(30, team="b", user=uuid4())
    await seed.project()
    given = Counter(row["collection_id"] for row in await admit(pool))
    assert sum(given.values()) == 12
    assert given[small] == 6
    assert given[other] == 3
    assert [given[each] for each in big] == [1, 1, 1]


async def test_what_there_is_no_room_for_takes_no_turn(pool: Pool, seed: Seed) -> None:
    await seed.instance("full", max_concurrent=1)
    await seed.instance("free", max_concurrent=7)  # six for bulk work
    one, two = uuid4(), uuid4()
    await seed.collection(1, team="b", instance_id="full")
    await seed.project()
    assert len(await admit(pool)) == 1
    await seed.collection(30, team="a", user=one, instance_id="full")
    mine = await seed.collection(30, team="a", user=one, instance_id="free")
    theirs = await seed.collection(30, team="a", user=two, instance_id="free")
    await seed.project()
    assert Counter(row["collection_id"] for row in await admit(pool)) == {mine: 3, theirs: 3}


async def test_a_slot_that_cannot_be_shared_goes_round(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=10)  # nine for bulk work
    users = [uuid4() for _ in range(4)]
    owners = {await seed.collection(60, team="a", user=user): user for user in users for _ in range(4)}
    await seed.project()
    held = list(await admit(pool))
    done: Counter[object] = Counter()
    for _ in range(80):
        ended = held.pop(0)
        done[ended["collection_id"]] += 1
        await complete(seed, ended["segment_id"], ended["collection_id"])
        await seed.project()
        held += await admit(pool)
    assert {sum(done[each] for each in owners if owners[each] == user) for user in users} == {20}
    assert set(done) == set(owners)
    assert max(done.values()) - min(done.values()) <= 2


async def test_a_collection_that_comes_later_catches_up_with_those_that_hold_slots(pool: Pool, seed: Seed) -> None:
    await seed.instance(max_concurrent=7)
    first = await seed.collection(30)
    await seed.project()
    held = await admit(pool)
    assert len(held) == 6
    second = await seed.collection(30)
    for row in held[:3]:
        await complete(seed, row["segment_id"], first)
    await seed.project()
    assert Counter(row["collection_id"] for row in await admit(pool)) == {second: 3}


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_segments_are_taken_in_the_order_asked_for(pool: Pool, seed: Seed, oldest_first: bool) -> None:
    await seed.instance()
    collection = await seed.collection(9, parallel_limit=3, oldest_first=oldest_first)
    await seed.project()
    admitted = [row["segment_id"] for row in await admit(pool)]
    numbers = await pool.fetch(
        "SELECT segment_number FROM report_data_weeks WHERE collection_id = $1 AND segment_id = ANY ($2)",
        collection,
        admitted,
    )
    assert sorted(row["segment_number"] for row in numbers) == ([1, 2, 3] if oldest_first else [7, 8, 9])


async def test_a_lagging_read_model_never_admits_a_finished_segment_again(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(1)
    await seed.project()
    [row] = await admit(pool)
    await complete(seed, row["segment_id"], collection)
    # The read model still says pending, and the lease is settled by the log: only the version stands between.
    assert await admit(pool) == []
    events = await read_stream(pool, stream_of("segment", row["segment_id"]))
    assert [event.event_type for event in events] == ["segment.dispatched", "segment.completed"]


async def test_the_slot_is_free_when_amc_has_ended_and_the_lease_stays_for_the_fetch(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(2, parallel_limit=1)
    await seed.project()
    [first] = await admit(pool)
    await seed.append(stream_of("segment", first["segment_id"]), Submitted(collection, "e1", False))
    assert await admit(pool) == []
    await seed.append(stream_of("segment", first["segment_id"]), Executed(collection, "e1", ()))
    await seed.project()
    [second] = await admit(pool)
    assert second["segment_id"] != first["segment_id"]
    leases = await pool.fetch("SELECT segment_id, holds_slot FROM segment_leases")
    assert {row["segment_id"]: row["holds_slot"] for row in leases} == {
        first["segment_id"]: False,
        second["segment_id"]: True,
    }


async def test_a_waiting_segment_is_admitted_when_its_time_has_come(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(2)
    await seed.project()
    soon, later = await admit(pool)
    now = datetime.now(UTC)
    for row, retry_at in ((soon, now - timedelta(seconds=1)), (later, now + timedelta(hours=1))):
        retry = RetryScheduled(collection, 1, "transient", "503", retry_at)
        await seed.append(stream_of("segment", row["segment_id"]), retry)
    await seed.project()
    [again] = await admit(pool)
    assert again["segment_id"] == soon["segment_id"]
    events = await read_stream(pool, stream_of("segment", soon["segment_id"]))
    assert isinstance(last := events[-1].data, Dispatched)
    assert (last.attempt, last.step, last.reason) == (2, "submit", "admitted")
    assert again["fence"] == events[-1].stream_version


async def test_failed_segments_and_finished_collections_are_left_alone(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(1)
    await seed.project()
    [row] = await admit(pool)
    await seed.append(stream_of("segment", row["segment_id"]), Failed(collection, 1, "permanent", "no"))
    await seed.project()
    assert await admit(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM segment_leases") == 0


@pytest.mark.parametrize(
    ("events", "step"),
    [
        ([], "submit"),
        (["intent"], "submit"),
        (["intent", "submitted"], "poll"),
        (["intent", "submitted", "executed"], "fetch"),
    ],
)
async def test_an_expired_lease_sends_the_current_step_again_under_a_new_fence(
    pool: Pool, seed: Seed, events: list[str], step: str
) -> None:
    await seed.instance()
    collection = await seed.collection(1)
    await seed.project()
    [row] = await admit(pool, lease=0.01)
    stream = stream_of("segment", row["segment_id"])
    happened = {
        "intent": SubmissionStarted(collection, 1, "w", "2026-01-31T00:00:00", "2026-02-01T00:00:00", "UTC", {}),
        "submitted": Submitted(collection, "e1", False),
        "executed": Executed(collection, "e1", ()),
    }
    for name in events:
        await seed.append(stream, happened[name])
    await asyncio.sleep(0.02)
    [again] = await renew(pool)
    assert again["step"] == step
    assert again["fence"] == len(events) + 2 > row["fence"]
    assert await renew(pool) == []  # the new lease runs
    # Once more, and the step is still known although the newest event is a dispatch.
    [third] = await renew(pool, lost=True)
    assert third["step"] == step


async def test_who_held_the_old_fence_can_record_nothing_any_more(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(1)
    await seed.project()
    [row] = await admit(pool, lease=0.01)
    await asyncio.sleep(0.02)
    await renew(pool)
    stream = stream_of("segment", row["segment_id"])
    event = NewEvent(data=Submitted(collection, "e1", False), team_id=TEAM)
    with pytest.raises(Conflict) as conflict:
        await seed.writer.append(AppendRequest((Write(stream, row["fence"], (event,)),)))
    assert conflict.value.actual == {stream: 2}


async def test_a_copy_of_an_order_is_dropped_and_a_redelivery_is_not(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    await seed.collection(1)
    await seed.project()
    [row] = await admit(pool)

    async def begin(sequence: int, *, redelivered: bool = False, fence: int = row["fence"]) -> bool:
        return bool(
            await pool.fetchval(
                "SELECT begin_step($1, $2, 'submit', $3, $4, 60)", row["segment_id"], fence, sequence, redelivered
            )
        )

    assert await begin(1)
    assert not await begin(1)
    assert await begin(1, redelivered=True)
    assert await begin(2)
    assert not await begin(1, redelivered=True)
    assert not await begin(3, fence=row["fence"] + 1)


async def test_steps_are_begun_together_and_none_waits_for_a_lease_that_somebody_is_at(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    await seed.collection(3)
    await seed.project()
    rows = await admit(pool)
    fences = [row["fence"] for row in rows]
    asked = [row["segment_id"] for row in rows]

    async def begin() -> list[int | None]:
        """Each segment's step, and last a copy of the first one's."""
        return await pool.fetchval(  # type: ignore[no-any-return]
            "SELECT begin_steps($1, $2, array_fill('submit'::text, ARRAY[4]), array_fill(1, ARRAY[4]),"
            "                   array_fill(false, ARRAY[4]), 60, array_fill(false, ARRAY[4]))",
            [*asked, asked[0]],
            [*fences, fences[0]],
        )

    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM segment_leases WHERE segment_id = $1 FOR UPDATE", asked[1])
        assert await begin() == [1, None, 1, 0]
    assert await begin() == [0, 1, 0, 0]


async def test_a_segment_to_run_again_before_its_lease_was_settled_gets_a_new_attempt(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(1)
    await seed.project()
    (given,) = await admit(pool)
    stream = stream_of("segment", given["segment_id"])
    await seed.append(stream, Failed(collection, 1, "permanent", "no"))
    await seed.append(stream, Retried(collection, 1))
    await seed.project()
    assert await renew(pool, lost=True) == []
    (again,) = await admit(pool)
    assert again["segment_id"] == given["segment_id"]
    assert (await read_stream(pool, stream))[-1].data == Dispatched(collection, 2, "submit", "admitted")


@pytest.mark.parametrize(
    "act", [CollectionPaused(None), CollectionCancelled(None), CollectionHeld("sql_rejected", uuid4(), "no")]
)
async def test_what_holds_a_collection_counts_before_the_read_models_know_it(
    pool: Pool, seed: Seed, act: msgspec.Struct
) -> None:
    await seed.instance()
    collection = await seed.collection(5)
    await seed.project()
    await seed.append(stream_of("collection", collection), act)
    assert await admit(pool) == []
    await seed.project()
    assert await admit(pool) == []


async def test_leases_of_a_cancelled_collection_are_recalled_once(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(3)
    await seed.project()
    at_amc, asking, admitted = (row["segment_id"] for row in await admit(pool))
    intent = SubmissionStarted(collection, 1, "w", "2026-01-01T00:00:00", "2026-01-02T00:00:00", "UTC", {})
    await seed.append(stream_of("segment", asking), intent)
    await seed.append(stream_of("segment", at_amc), Submitted(collection, "e", False))
    await seed.append(stream_of("collection", collection), CollectionCancelled(None))
    await seed.project()
    assert await pool.fetchval("SELECT recall_cancelled()") == 2
    assert {row["segment_id"] for row in await renew(pool)} == {at_amc, admitted}
    await seed.project()
    assert await pool.fetchval("SELECT recall_cancelled()") == 0
    # The create that was under way has its answer now.
    await seed.append(stream_of("segment", asking), Submitted(collection, "f", False))
    assert await pool.fetchval("SELECT recall_cancelled()") == 1


async def test_one_runs_first_until_amc_has_taken_the_sql(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection = await seed.collection(5, sql_checked=False)
    await seed.project()
    (first,) = await admit(pool)
    await seed.append(stream_of("segment", first["segment_id"]), Executed(collection, "e", ()))
    await seed.project()
    assert len(await admit(pool)) == 4


async def test_failures_that_the_read_model_has_not_seen_count_already(pool: Pool, seed: Seed) -> None:
    await seed.instance()
    collection_id = await seed.collection(5, parallel_limit=1, stop_after_failures=2)
    await seed.project()
    [row] = await admit(pool)
    await seed.project()
    await seed.append(stream_of("segment", row["segment_id"]), Failed(collection_id, 1, "permanent", "no"))
    [row] = await admit(pool)  # one may fail
    await seed.append(stream_of("segment", row["segment_id"]), Failed(collection_id, 1, "permanent", "no"))
    assert await admit(pool) == []
    await seed.project()
    assert await admit(pool) == []
