"""What a run's collection owes to the past: results that are there, segments to fetch again, SQL that AMC has taken."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import msgspec
import pytest

from db.pool import Pool
from events.configurations import SegmentationConfig
from events.envelope import stream_of
from events.types.collection import CollectionCreated, PlannedSegment
from events.types.segment import Completed, Dispatched, Executed, Submitted, Superseded
from tests.schedules import Schedules, StoppedClock


@pytest.fixture
async def schedules(pool: Pool) -> Schedules:
    schedules = Schedules(pool, StoppedClock("2026-03-02 13:00"))
    await schedules.instance()
    return schedules


async def created(schedules: Schedules, schedule_id: UUID) -> list[CollectionCreated]:
    """The collections of the schedule's runs, oldest first."""
    rows = await schedules.pool.fetch(
        "SELECT configuration FROM report_builder_audit WHERE event_type = 'collection.created' ORDER BY position"
    )
    found = [msgspec.json.decode(row["configuration"], type=CollectionCreated) for row in rows]
    return [collection for collection in found if collection.schedule_id == schedule_id]


async def complete(schedules: Schedules, run: CollectionCreated, collection_id: UUID) -> None:
    """Every segment that runs comes to its end, executed now by the real clock."""
    for planned in run.segments:
        if planned.skip_reason is None:
            stream = stream_of("segment", planned.segment_id)
            for data in (
                Dispatched(collection_id, 1, "submit", "admitted"),
                Submitted(collection_id, f"execution-{planned.segment_id}", False),
                Executed(collection_id, f"execution-{planned.segment_id}", ()),
                Completed(collection_id, f"execution-{planned.segment_id}", 1, 1, "c"),
            ):
                await schedules.append(stream, data)
    await schedules.finish(collection_id)


def days_of(planned: PlannedSegment) -> tuple[date, date]:
    return planned.start, planned.end


async def test_a_run_fetches_again_what_ended_as_many_days_before(schedules: Schedules) -> None:
    daily = await schedules.create(refreshDays=[3, 14])
    for number in range(5):
        await schedules.at(f"2026-03-0{2 + number} 14:00")
        run = (await created(schedules, daily))[-1]
        own, *older = run.segments
        assert days_of(own) == (run.window_start, run.window_end)
        # The window of the run of three days ago ended four days ago: that of the day after it ended three days ago.
        ended = run.as_of - timedelta(days=3)
        expected = [] if number < 2 else [(ended - timedelta(days=6), ended)]
        assert [days_of(planned) for planned in older] == expected
        started = (await schedules.started(daily))[-1]
        await complete(schedules, run, started.collection_id)
    first = (await created(schedules, daily))[0]
    again = (await created(schedules, daily))[2].segments[1]
    assert again.supersedes == first.segments[0].segment_id


async def test_what_is_fetched_again_is_never_the_runs_own_nor_older_than_amc_keeps(schedules: Schedules) -> None:
    daily = await schedules.create(refreshDays=[1, 2, 424, 425])
    await schedules.at("2026-03-02 14:00")
    (run,) = await created(schedules, daily)
    await complete(schedules, run, (await schedules.started(daily))[-1].collection_id)
    await schedules.at("2026-03-03 14:00")
    second = (await created(schedules, daily))[-1]
    windows = [days_of(planned) for planned in second.segments]
    assert len(windows) == len(set(windows)) == 2
    await complete(schedules, second, (await schedules.started(daily))[-1].collection_id)
    # 424 days after the first window's end AMC has no more of its beginning.
    await schedules.at("2027-04-29 14:00")
    late = (await created(schedules, daily))[-1]
    assert late.as_of == date(2027, 4, 29)
    assert len(late.segments) == 1


async def test_a_superseded_segment_names_what_took_its_place_and_keeps_its_result(schedules: Schedules) -> None:
    daily = await schedules.create()
    await schedules.at("2026-03-02 14:00")
    (run,) = await created(schedules, daily)
    (started,) = await schedules.started(daily)
    await complete(schedules, run, started.collection_id)
    newer = UUID(int=7)
    await schedules.append(stream_of("segment", run.segments[0].segment_id), Superseded(newer, UUID(int=8)))
    await schedules.project()
    row = await schedules.pool.fetchrow("SELECT status, checksum, superseded_by FROM report_data_weeks")
    assert row is not None
    assert tuple(row) == ("completed", "c", newer)


async def test_a_run_of_sql_that_amc_has_taken_needs_no_first_segment_and_leaves_out_what_is_final(
    schedules: Schedules,
) -> None:
    daily = await schedules.create(overlap="allow")
    segmentation = SegmentationConfig(type="daily")
    stands = await schedules.read(daily)
    await schedules.pool.execute(
        "UPDATE workflow_schedules SET segmentation_config = $1", msgspec.json.encode(segmentation).decode()
    )
    assert stands.configured.segmentation_config is None
    await schedules.at("2026-03-02 14:00")
    (run,) = await created(schedules, daily)
    assert not run.sql_checked
    assert len(run.segments) == 7
    await complete(schedules, run, (await schedules.started(daily))[-1].collection_id)
    # Executed today by the real clock, long after these days: six of the next run's seven are there and final.
    await schedules.at("2026-03-03 14:00")
    second = (await created(schedules, daily))[-1]
    assert second.sql_checked
    assert second.content_key == run.content_key != ""
    assert [planned.skip_reason for planned in second.segments] == ["final"] * 6 + [None]
