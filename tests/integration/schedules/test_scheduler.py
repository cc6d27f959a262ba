"""The scheduler over a real database: which runs start, wait, are skipped or missed, and what is recorded."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from db.pool import Pool
from events.configurations import LookbackConfig
from events.envelope import new_id, stream_of
from events.types.schedule import Ended, Paused, Released, Rescheduled, Resumed
from events.types.segment import Dispatched, Failed
from events.validation import decode
from projections.difference import Difference
from projections.rebuild import rebuild
from tests.postgres import Database
from tests.recording import table_rows
from tests.schedules import Schedules, StoppedClock, utc

DAILY_AT_NINE = utc("2026-03-02 14:00")


@pytest.fixture
async def schedules(pool: Pool) -> Schedules:
    """Nothing but an instance, at eight in the morning of a Monday in New York."""
    schedules = Schedules(pool, StoppedClock("2026-03-02 13:00"))
    await schedules.instance()
    return schedules


async def test_a_run_starts_when_it_is_due_with_the_window_of_its_day(schedules: Schedules) -> None:
    daily = await schedules.create()
    await schedules.at("2026-03-02 13:59:59")
    assert await schedules.runs(daily) == []
    await schedules.at("2026-03-02 14:00")
    assert await schedules.runs(daily) == ["03-02 09:00 on_time"]
    (run,) = await schedules.started(daily)
    assert (run.as_of, run.handled, run.next_due) == (date(2026, 3, 2), DAILY_AT_NINE, utc("2026-03-03 14:00"))
    row = await schedules.pool.fetchrow("SELECT * FROM report_data_collections WHERE schedule_id = $1", daily)
    assert row is not None
    assert (row["collection_id"], row["lane"], row["as_of"]) == (run.collection_id, "interactive", date(2026, 3, 2))
    assert (row["window_start"], row["window_end"]) == (date(2026, 2, 23), date(2026, 3, 1))
    stands = await schedules.read(daily)
    assert (stands.run_count, stands.running, stands.next_due) == (1, 1, run.next_due)


@pytest.mark.parametrize("schedulers", [2, 5])
async def test_several_schedulers_at_once_start_each_run_once(schedules: Schedules, schedulers: int) -> None:
    ids = [await schedules.create(overlap="allow", catchup="all", catchupWindowHours=100_000) for _ in range(4)]
    racing = [schedules.another() for _ in range(schedulers)]
    for day in range(2, 12):
        schedules.clock.set(f"2026-03-{day:02} 15:00")
        # Each reads what the others may be about to change; and now and then one finds rows that are out of date.
        await asyncio.gather(*(scheduler.look() for scheduler in racing))
        if day % 3:
            await schedules.project()
    await schedules.settle()
    for schedule_id in ids:
        nominal = [run.nominal.date() for run in await schedules.started(schedule_id)]
        assert nominal == [date(2026, 3, day) for day in range(2, 12)]
    assert await schedules.pool.fetchval("SELECT count(*) FROM report_data_collections") == 40


class Fuse:
    """Ends the task that uses what it wraps, before or after the nth call that leaves the process."""

    def __init__(self, burns_at: int) -> None:
        self.left = burns_at

    def wrap(self, wrapped: Any) -> Any:
        return _Fused(wrapped, self)

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise asyncio.CancelledError


class _Fused:
    def __init__(self, wrapped: Any, fuse: Fuse) -> None:
        self._wrapped = wrapped
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            self._fuse.burn()
            answer = await getattr(self._wrapped, name)(*arguments, **more)
            self._fuse.burn()
            return answer

        return call


async def test_a_scheduler_killed_anywhere_leaves_all_of_a_run_or_nothing(schedules: Schedules, pool: Pool) -> None:
    """Before and after each call to the database of one look, until one gets to its end."""
    daily = await schedules.create(overlap="allow", catchup="all")
    schedules.clock.set("2026-03-05 15:00")
    seen = []
    for burns_at in range(1, 100):
        fuse = Fuse(burns_at)
        scheduler = schedules.another(fuse.wrap(schedules.writer), fuse.wrap(pool))
        try:
            await scheduler.look()
        except asyncio.CancelledError:
            pass
        else:
            break
        seen.append((await pool.fetchrow(COUNTS))["started"])  # type: ignore[index]
        assert (await pool.fetchrow(COUNTS))["created"] == seen[-1]  # type: ignore[index]
    assert (set(seen[:-1]), seen[-1]) == ({0}, 4)
    await schedules.settle()
    assert len(await schedules.started(daily)) == 4
    assert await pool.fetchval("SELECT count(*) FROM report_data_collections") == 4


COUNTS = """
SELECT count(*) FILTER (WHERE event_type = 'schedule.run_started') AS started,
       count(*) FILTER (WHERE event_type = 'collection.created') AS created FROM report_builder_audit
"""

CATCH_UPS: list[tuple[dict[str, Any], list[str]]] = [
    ({"catchup": "latest"}, ["03-03 09:00 missed: superseded", "03-04 09:00 missed: superseded",
                             "03-05 09:00 caught_up"]),
    ({"catchup": "all"}, ["03-03 09:00 caught_up", "03-04 09:00 caught_up", "03-05 09:00 caught_up"]),
    ({"catchup": "none"}, ["03-03 09:00 missed: catch_up_off", "03-04 09:00 missed: catch_up_off",
                           "03-05 09:00 missed: catch_up_off"]),
    ({"catchup": "all", "catchupWindowHours": 30}, ["03-03 09:00 missed: too_old", "03-04 09:00 caught_up",
                                                    "03-05 09:00 caught_up"]),
    ({"catchup": "latest", "catchupWindowHours": 1}, ["03-03 09:00 missed: too_old", "03-04 09:00 missed: too_old",
                                                      "03-05 09:00 missed: too_old"]),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "expected"), CATCH_UPS, ids=[str(policy) for policy, _ in CATCH_UPS])
async def test_after_three_days_without_a_scheduler_each_missed_run_is_made_up_or_recorded(
    schedules: Schedules, policy: dict[str, Any], expected: list[str]
) -> None:
    daily = await schedules.create(overlap="allow", **policy)
    await schedules.at("2026-03-02 14:00")
    await schedules.at("2026-03-05 17:00")
    assert await schedules.runs(daily) == ["03-02 09:00 on_time", *expected]
    windows = {run.as_of for run in await schedules.started(daily)}
    assert windows == {run.nominal.date() for run in await schedules.started(daily)}
    await schedules.at("2026-03-06 14:01")
    assert (await schedules.runs(daily))[4:] == ["03-06 09:00 on_time"]


async def test_a_weekly_report_whose_monday_was_missed_runs_on_wednesday(schedules: Schedules) -> None:
    weekly = await schedules.create(frequency="weekly", daysOfWeek=[1])
    await schedules.at("2026-03-04 18:00")
    assert await schedules.runs(weekly) == ["03-02 09:00 caught_up"]
    (run,) = await schedules.started(weekly)
    assert (run.as_of, run.next_due) == (date(2026, 3, 2), utc("2026-03-09 13:00"))


async def test_years_of_missed_runs_are_recorded_in_many_appends(schedules: Schedules) -> None:
    daily = await schedules.create(catchup="latest")
    await schedules.at("2029-03-02 15:00")
    runs = await schedules.runs(daily)
    assert len(runs) == 3 * 365 + 2
    assert {run.split(" ", 2)[2] for run in runs[:-1]} == {"missed: superseded"}
    assert runs[-1] == "03-02 09:00 caught_up"
    assert len(set(runs)) == 367  # each day of a leap year, and the last one's other outcome


async def test_with_overlap_queue_one_run_waits_and_is_always_the_newest(schedules: Schedules) -> None:
    daily = await schedules.create()
    for day in (2, 3, 4):
        await schedules.at(f"2026-03-{day:02} 14:00")
    assert await schedules.runs(daily) == [
        "03-02 09:00 on_time",
        "03-03 09:00 waiting",
        "03-03 09:00 skipped: coalesced",
        "03-04 09:00 waiting",
    ]
    (first,) = await schedules.started(daily)
    await schedules.at("2026-03-04 20:00")
    await schedules.finish(first.collection_id, "failed")
    await schedules.settle()
    assert (await schedules.runs(daily))[-1] == "03-04 09:00 waited"
    waited = (await schedules.started(daily))[1]
    assert (waited.as_of, waited.next_due) == (date(2026, 3, 4), utc("2026-03-05 14:00"))
    rows = await schedules.pool.fetch("SELECT * FROM schedule_runs WHERE schedule_id = $1 ORDER BY instant", daily)
    assert [(row["status"], row["reason"], row["cause"]) for row in rows] == [
        ("started", None, "on_time"),
        ("skipped", "coalesced", None),
        ("started", None, "waited"),
    ]


async def test_with_overlap_skip_a_run_that_finds_another_is_skipped(schedules: Schedules) -> None:
    daily = await schedules.create(overlap="skip")
    await schedules.at("2026-03-02 14:00")
    await schedules.at("2026-03-03 14:00")
    await schedules.finish((await schedules.started(daily))[0].collection_id)
    await schedules.at("2026-03-04 14:00")
    assert await schedules.runs(daily) == [
        "03-02 09:00 on_time",
        "03-03 09:00 skipped: overlap",
        "03-04 09:00 on_time",
    ]


async def test_with_overlap_allow_runs_start_beside_each_other(schedules: Schedules) -> None:
    daily = await schedules.create(overlap="allow")
    for day in (2, 3, 4):
        await schedules.at(f"2026-03-{day:02} 14:00")
    assert [run.split()[2] for run in await schedules.runs(daily)] == ["on_time"] * 3
    assert (await schedules.read(daily)).running == 3


async def test_the_last_of_max_runs_ends_the_schedule_and_skipped_ones_do_not_count(schedules: Schedules) -> None:
    daily = await schedules.create(overlap="skip", maxRuns=2)
    await schedules.at("2026-03-02 14:00")
    await schedules.at("2026-03-03 14:00")
    await schedules.finish((await schedules.started(daily))[0].collection_id)
    await schedules.at("2026-03-04 14:00")
    assert (await schedules.events(daily))[-1] == Ended(
        handled=utc("2026-03-04 14:00"), next_due=None, cause="max_runs", reason=None
    )
    await schedules.at("2026-03-09 14:00")
    assert len(await schedules.started(daily)) == 2
    assert (await schedules.read(daily)).status == "ended"


async def test_runs_that_were_skipped_at_once_leave_their_room_under_max_runs_to_later_ones(
    schedules: Schedules,
) -> None:
    daily = await schedules.create(overlap="skip", catchup="all", maxRuns=2)
    await schedules.at("2026-03-05 15:00")
    assert await schedules.runs(daily) == [
        "03-02 09:00 caught_up",
        "03-03 09:00 skipped: overlap",
        "03-04 09:00 skipped: overlap",
        "03-05 09:00 skipped: overlap",
    ]
    stands = await schedules.read(daily)
    assert (stands.status, stands.next_due) == ("active", utc("2026-03-06 14:00"))


async def test_a_schedule_ends_after_its_end_date_and_not_before_its_waiting_run(schedules: Schedules) -> None:
    daily = await schedules.create(endDate="2026-03-03")
    await schedules.at("2026-03-02 14:00")
    await schedules.at("2026-03-03 14:00")
    assert (await schedules.read(daily)).status == "active"
    await schedules.finish((await schedules.started(daily))[0].collection_id)
    await schedules.settle()
    assert (await schedules.runs(daily))[-1] == "03-03 09:00 waited"
    ended = (await schedules.events(daily))[-1]
    assert isinstance(ended, Ended)
    assert ended.cause == "end_date"


async def test_a_run_out_of_amcs_reach_is_skipped_with_that_reason(schedules: Schedules) -> None:
    window = decode(LookbackConfig, {"type": "custom", "startDate": "2025-01-01", "endDate": "2025-01-31"})
    daily = await schedules.create(lookback=window)
    await schedules.at("2026-03-02 14:00")
    await schedules.finish((await schedules.started(daily))[0].collection_id)
    await schedules.at("2026-03-03 14:00")
    assert await schedules.runs(daily) == ["03-02 09:00 on_time", "03-03 09:00 skipped: out_of_reach"]


async def test_a_late_run_whose_days_amc_has_dropped_meanwhile_is_out_of_reach_too(schedules: Schedules) -> None:
    daily = await schedules.create(catchup="all", catchupWindowHours=1_000_000, overlap="allow", maxRuns=20)
    await schedules.at("2027-04-30 15:00")
    runs = await schedules.runs(daily)
    # 2026-03-10's window begins on 03-03, which is 423 days before that day; 02-28 is the last one gone.
    assert [run for run in runs if "out_of_reach" in run] == [
        f"03-{day:02} 09:00 skipped: out_of_reach" for day in range(2, 8)
    ]
    assert len(await schedules.started(daily)) == 20


async def test_a_broken_schedule_stops_no_other(schedules: Schedules, pool: Pool) -> None:
    broken, sound = await schedules.create(name="Broken"), await schedules.create()
    await pool.execute("UPDATE workflow_schedules SET timezone = 'Mars/Olympus' WHERE schedule_id = $1", broken)
    await schedules.at("2026-03-02 14:00")
    assert await schedules.runs(sound) == ["03-02 09:00 on_time"]
    assert await schedules.runs(broken) == []


async def test_more_due_schedules_than_one_look_takes_are_all_started(schedules: Schedules) -> None:
    template: dict[str, Any] = {
        "time": "09:00",
        "frequency": "daily",
        "report_zone": "UTC",
        "backfill": None,
        "hold": False,
    }
    lookback = decode(LookbackConfig, {"type": "relative", "value": 1, "unit": "days"})
    ids = [new_id() for _ in range(230)]
    await asyncio.gather(
        *(
            schedules.append_schedule(
                schedule_id, lookback=lookback, instance_id="amcsandbox1", name="One of many", **template
            )
            for schedule_id in ids
        )
    )
    await schedules.at("2026-03-03 09:00")
    assert await schedules.pool.fetchval("SELECT count(*) FROM schedule_runs WHERE status = 'started'") == 230


async def test_a_held_schedule_counts_from_the_end_of_its_backfill_whatever_became_of_it(
    schedules: Schedules,
) -> None:
    history = new_id()
    held = await schedules.create(backfill=history, hold=True, overlap="allow")
    beside = await schedules.create(backfill=(other := new_id()), hold=False)
    await schedules.at("2026-03-02 14:00")
    assert (await schedules.runs(held), len(await schedules.runs(beside))) == ([], 1)
    assert (await schedules.read(held)).held
    await schedules.finish(history, "failed")
    await schedules.settle()
    released = (await schedules.events(held))[1]
    assert isinstance(released, Released)
    ended = (await schedules.read(held)).backfill_ended
    assert released.handled == ended  # the real moment: this clock stands, and shows no other
    assert released.next_due is not None
    assert released.next_due > released.handled
    schedules.clock.shown = released.next_due
    await schedules.settle()
    assert len(await schedules.started(held)) == 1
    assert other != history


async def test_the_status_of_a_schedules_backfill_is_its_collections_at_every_moment_and_after_a_rebuild(
    schedules: Schedules, pool: Pool, database: Database
) -> None:
    history = new_id()
    schedule_id = await schedules.create(backfill=history)

    async def statuses() -> tuple[str, str]:
        await schedules.project()
        row = await pool.fetchrow(
            "SELECT s.backfill_status AS one, c.backfill_status AS other FROM workflow_schedules s"
            " JOIN report_data_collections c ON c.collection_id = s.backfill_collection_id WHERE s.schedule_id = $1",
            schedule_id,
        )
        assert row is not None
        return row["one"], row["other"]

    assert await statuses() == ("pending", "pending")
    (segment,) = await pool.fetch("SELECT segment_id FROM report_data_weeks WHERE collection_id = $1", history)
    stream = stream_of("segment", segment["segment_id"])
    await schedules.append(stream, Dispatched(history, 1, "submit", "admitted"))
    assert await statuses() == ("in_progress", "in_progress")
    await schedules.append(stream, Failed(history, 1, "permanent", "no such column"))
    assert await statuses() == ("failed", "failed")
    await schedules.at("2026-03-02 14:00")
    await schedules.at("2026-03-03 14:00")
    before = await table_rows(pool)
    assert len(before["schedule_runs"]) == 2
    assert (await rebuild(database.service_url)).difference == Difference()
    await pool.execute("UPDATE workflow_schedules SET backfill_status = 'completed', next_run_at = now()")
    await pool.execute("DELETE FROM schedule_runs")
    assert (await rebuild(database.service_url)).difference == Difference(added=2, changed=1)
    assert await table_rows(pool) == before


async def test_new_rules_of_a_zone_move_the_next_run_and_bring_none_back(schedules: Schedules, pool: Pool) -> None:
    daily = await schedules.create()
    await schedules.at("2026-03-02 14:00")
    # As if the zone had been an hour further east when the next run was computed, and this one recorded.
    await pool.execute(
        "UPDATE workflow_schedules SET next_run_at = next_run_at - interval '1 hour',"
        " handled_at = handled_at - interval '1 hour'"
    )
    await schedules.another().check_timetables()
    await schedules.project()
    assert (await schedules.events(daily))[-1] == Rescheduled(handled=DAILY_AT_NINE, next_due=utc("2026-03-03 14:00"))
    assert await schedules.runs(daily) == ["03-02 09:00 on_time"]
    head = await schedules.head()
    await schedules.another().check_timetables()
    assert await schedules.head() == head


async def test_a_paused_schedule_starts_nothing_and_resumed_it_catches_up(schedules: Schedules) -> None:
    daily = await schedules.create(overlap="allow")
    stream = stream_of("schedule", daily)
    await schedules.append(stream, Paused(handled=utc("2026-03-02 13:00"), next_due=None, reason=None))
    await schedules.at("2026-03-04 15:00")
    assert await schedules.runs(daily) == []
    await schedules.append(
        stream, Resumed(handled=utc("2026-03-02 13:00"), next_due=utc("2026-03-02 14:00"), reason=None)
    )
    await schedules.settle()
    assert await schedules.runs(daily) == [
        "03-02 09:00 missed: superseded",
        "03-03 09:00 missed: superseded",
        "03-04 09:00 caught_up",
    ]


async def test_run_ids_follow_from_schedule_and_nominal_time(schedules: Schedules) -> None:
    daily = await schedules.create()
    await schedules.at("2026-03-02 14:00")
    (run,) = await schedules.started(daily)
    row = await schedules.pool.fetchrow("SELECT run_id, nominal, instant FROM schedule_runs")
    assert row is not None
    assert (row["run_id"], row["nominal"], row["instant"]) == (run.run_id, run.nominal, run.instant)
    assert isinstance(row["run_id"], UUID)
    assert row["run_id"].version == 5
