"""What is recorded of a schedule as time passes and people act on it; no clock, no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.configurations import LookbackConfig
from events.types import schedule as events
from events.validation import decode
from projections.schedules import ScheduleStatus
from service.problems import Refused
from service.schedules.decide import (
    Move,
    advance,
    change,
    end,
    hold,
    let_go,
    pause,
    release,
    resume,
    run_now,
    status_after,
)
from service.schedules.occurrences import ScheduleSpec, occurrences
from service.schedules.state import Planned, Schedule
from tests.unit.schedules.samples import schedule as spec_of
from tests.unit.schedules.samples import utc

SCHEDULE_ID = UUID(int=7)
WEEK = decode(LookbackConfig, {"type": "relative", "value": 7, "unit": "days"})
MONDAY_AT_EIGHT = utc("2026-03-02 13:00")


def configured(time: str = "09:00", frequency: str = "daily", **config: Any) -> events.Configured:
    spec = spec_of("America/New_York", time, frequency, **config)
    return events.Configured(
        name="Every day",
        instance_id="amc1",
        sql_query="SELECT 1",
        declared_parameters=(),
        parameters={},
        timezone="America/New_York",
        lookback_config=WEEK,
        schedule_config=spec.config,
        segmentation_config=None,
    )


def a_schedule(handled: datetime = MONDAY_AT_EIGHT, **changes: Any) -> Schedule:
    """An active one that counts from there; other fields of its state, or of its configuration, as given."""
    fields = {name: changes.pop(name) for name in Schedule.__struct_fields__ if name in changes}
    fields.setdefault("configured", configured(**changes))
    made = Schedule(
        **{
            "schedule_id": SCHEDULE_ID, "team_id": "team-1", "user_id": None, "report_id": None,
            "workflow_id": "w1", "version": 1, "status": "active", "held": False, "handled": handled,
            "next_due": None, "run_count": 0, **fields,
        }
    )  # fmt: skip
    if "next_due" in fields or made.held or made.status != "active":
        return made
    first = next(occurrences(made.spec, handled, datetime.max.replace(tzinfo=UTC)), None)
    return msgspec.structs.replace(made, next_due=first and first.instant)


def after(schedule: Schedule, move: Move) -> Schedule:
    """The schedule once the move is recorded, as the read models make it."""
    status: ScheduleStatus = status_after(schedule, move) if move.events else schedule.status
    waiting, run_count, running, held = schedule.waiting, schedule.run_count, schedule.running, schedule.held
    recorded = set(schedule.recorded)
    for event in move.events:
        if isinstance(event, events.Run):
            recorded.add(event.run_id)
            if waiting is not None and waiting.run_id == event.run_id:
                waiting = None
        match event:
            case events.RunStarted():
                run_count += event.cause != "run_now"
                running += 1
            case events.RunWaiting():
                waiting = Planned(event.run_id, event.nominal, event.instant, event.as_of)
            case events.Released():
                held = False
    last: Any = move.events[-1] if move.events else schedule
    return msgspec.structs.replace(
        schedule, version=schedule.version + len(move.events), status=status, held=held, handled=last.handled,
        next_due=last.next_due, run_count=run_count, running=running, waiting=waiting, recorded=frozenset(recorded),
    )  # fmt: skip


def in_short(move: Move) -> list[str]:
    return [
        type(event).__name__ + (f" {event.nominal:%m-%d}" if isinstance(event, events.Run) else "")
        for event in move.events
    ]


@given(st.data())
@settings(max_examples=150)
def test_however_often_and_in_whatever_pieces_time_is_looked_at_each_occurrence_is_decided_once(
    data: st.DataObject,
) -> None:
    """Random policies, looks, ends of runs, and bounds on what one move takes."""
    config: dict[str, Any] = {
        "catchup": data.draw(st.sampled_from(["latest", "all", "none"])),
        "overlap": data.draw(st.sampled_from(["queue", "skip", "allow"])),
        "jitterSeconds": data.draw(st.sampled_from([0, 5000])),
        "catchupWindowHours": data.draw(st.none() | st.integers(1, 100)),
        "maxRuns": data.draw(st.none() | st.integers(1, 6)),
    }
    schedule = a_schedule(**{name: value for name, value in config.items() if value is not None})
    began, now = schedule, MONDAY_AT_EIGHT
    recorded: list[Any] = []
    collections = 0
    for _ in range(data.draw(st.integers(1, 12))):
        now += timedelta(minutes=data.draw(st.integers(1, 60 * 70)))
        schedule = msgspec.structs.replace(schedule, running=data.draw(st.integers(0, schedule.running)))
        at_most = data.draw(st.integers(1, 4))
        while (move := advance(schedule, now, at_most=at_most)).events:
            assert len(move.collections) == sum(isinstance(event, events.RunStarted) for event in move.events)
            collections += len(move.collections)
            recorded += move.events
            schedule = after(schedule, move)
        assert schedule.status == "ended" or schedule.next_due is None or schedule.next_due > now
    runs = [event for event in recorded if isinstance(event, events.Run)]
    final = [event for event in runs if not isinstance(event, events.RunWaiting)]
    assert len({event.run_id for event in final}) == len(final)
    waited = {event.run_id for event in runs if isinstance(event, events.RunWaiting)}
    assert waited - {event.run_id for event in final} == ({schedule.waiting.run_id} if schedule.waiting else set())
    calendar = configured().schedule_config  # without a bound on the runs
    asked = occurrences(ScheduleSpec(calendar, began.spec.zone_name), began.handled, schedule.handled)
    assert sorted({event.nominal for event in runs}) == [occurrence.nominal for occurrence in asked]
    if (limit := config["maxRuns"]) is not None:
        started = [event for event in runs if isinstance(event, events.RunStarted)]
        assert len(started) <= limit
        assert (schedule.status == "ended") == (len(started) == limit)
    handled = [event.handled for event in recorded]
    assert handled == sorted(handled)
    assert collections == sum(isinstance(event, events.RunStarted) for event in runs)


@given(st.data())
@settings(max_examples=100)
def test_a_long_absence_in_one_move_or_in_many_is_decided_alike(data: st.DataObject) -> None:
    config: dict[str, Any] = {
        "catchup": data.draw(st.sampled_from(["latest", "all", "none"])),
        "overlap": data.draw(st.sampled_from(["queue", "skip", "allow"])),
    }
    schedule = a_schedule(**config)
    now = MONDAY_AT_EIGHT + timedelta(minutes=data.draw(st.integers(1, 60 * 24 * 40)))

    def decided(at_most: int) -> list[tuple[Any, ...]]:
        found: list[Any] = []
        stands = schedule
        while (move := advance(stands, now, at_most=at_most)).events:
            found += move.events
            stands = after(stands, move)
        return [
            (type(event), event.nominal, getattr(event, "reason", getattr(event, "cause", None)), event.handled)
            for event in found
        ]

    assert decided(data.draw(st.integers(1, 5))) == decided(1000)


def test_an_event_of_a_long_absence_says_when_the_next_occurrence_came_due() -> None:
    move = advance(a_schedule(catchup="none"), utc("2026-03-05 15:00"), at_most=2)
    assert in_short(move) == ["RunMissed 03-02", "RunMissed 03-03"]
    last: Any = move.events[-1]
    assert (last.handled, last.next_due) == (utc("2026-03-03 14:00"), utc("2026-03-04 14:00"))


def test_nothing_is_recorded_of_a_schedule_that_waits_for_nothing_due() -> None:
    assert advance(a_schedule(), utc("2026-03-02 13:59")) == Move()
    assert advance(a_schedule(status="paused"), utc("2026-03-09 13:59")) == Move()
    assert advance(a_schedule(held=True, backfill_collection_id=UUID(int=1)), utc("2026-03-09 13:59")) == Move()


def test_what_was_recorded_of_a_nominal_time_is_not_decided_again() -> None:
    """As a change of a zone's rules could bring it back."""
    first = advance(a_schedule(), utc("2026-03-02 14:00"))
    again = a_schedule(recorded=frozenset({first.events[0].run_id}))  # type: ignore[attr-defined]
    assert in_short(advance(again, utc("2026-03-02 14:00"))) == ["Rescheduled"]


def test_the_run_that_waits_goes_before_one_that_comes_due() -> None:
    schedule = a_schedule(overlap="queue", running=1)
    schedule = after(schedule, advance(schedule, utc("2026-03-02 14:00")))
    done = msgspec.structs.replace(schedule, running=0)
    move = advance(done, utc("2026-03-03 14:00"))
    assert in_short(move) == ["RunStarted 03-02", "RunWaiting 03-03"]


def test_a_waiting_run_outlives_a_change_to_skip_and_starts_at_a_change_to_allow() -> None:
    schedule = a_schedule(overlap="queue", running=1)
    schedule = after(schedule, advance(schedule, utc("2026-03-02 14:00")))
    now = utc("2026-03-02 15:00")
    skipping = after(schedule, change(schedule, configured(overlap="skip"), now, None))
    skipping = msgspec.structs.replace(skipping, configured=configured(overlap="skip"))
    assert advance(skipping, now) == Move()
    assert in_short(advance(skipping, utc("2026-03-03 14:00"))) == ["RunSkipped 03-03"]
    allowing = msgspec.structs.replace(schedule, configured=configured(overlap="allow"))
    assert in_short(advance(allowing, now)) == ["RunStarted 03-02"]


def test_a_paused_schedule_is_resumed_where_it_stood() -> None:
    schedule = a_schedule()
    paused = after(schedule, pause(schedule, "holidays"))
    assert (paused.status, paused.next_due, paused.handled) == ("paused", None, MONDAY_AT_EIGHT)
    resumed = after(paused, resume(paused, None))
    assert (resumed.status, resumed.next_due) == ("active", utc("2026-03-02 14:00"))
    move = advance(resumed, utc("2026-03-04 15:00"))
    assert in_short(move) == ["RunMissed 03-02", "RunMissed 03-03", "RunStarted 03-04"]


def test_a_schedule_that_was_over_before_it_was_resumed_ends() -> None:
    schedule = a_schedule(endDate="2026-03-03", catchup="none")
    paused = after(schedule, pause(schedule, None))
    resumed = after(paused, resume(paused, None))
    move = advance(resumed, utc("2026-03-10 15:00"))
    assert in_short(move) == ["RunMissed 03-02", "RunMissed 03-03", "Ended"]


@pytest.mark.parametrize("command", [pause, resume])
def test_a_command_that_does_not_go_with_the_state_is_refused(command: Any) -> None:
    wrong: ScheduleStatus = "paused" if command is pause else "active"
    for status in (wrong, "ended"):
        with pytest.raises(Refused) as refused:
            command(a_schedule(status=status), None)
        assert refused.value.code == "schedule_state"


def test_an_ended_schedule_is_neither_changed_nor_run_nor_ended_again() -> None:
    ended = a_schedule(status="ended")
    with pytest.raises(Refused):
        change(ended, configured(), MONDAY_AT_EIGHT, None)
    with pytest.raises(Refused):
        run_now(ended, MONDAY_AT_EIGHT)
    with pytest.raises(Refused):
        end(ended, MONDAY_AT_EIGHT, None)


def test_new_times_count_from_the_change_and_old_ones_that_are_due_still_run() -> None:
    move = change(a_schedule(), configured("11:00"), utc("2026-03-02 14:00:01"), "later")
    assert in_short(move) == ["RunStarted 03-02", "Changed"]
    changed: Any = move.events[-1]
    assert changed.handled == utc("2026-03-02 14:00:01")
    assert changed.next_due == utc("2026-03-02 16:00")  # a day with both times has both
    assert changed.schedule_config.time == "11:00"


def test_a_new_time_earlier_in_the_day_begins_tomorrow() -> None:
    schedule = a_schedule(handled=utc("2026-03-02 14:00"))
    changed: Any = change(schedule, configured("08:30"), utc("2026-03-02 15:00"), None).events[-1]
    assert changed.next_due == utc("2026-03-03 13:30")


def test_a_change_of_anything_but_times_moves_nothing() -> None:
    schedule = a_schedule()
    now = utc("2026-03-04 15:00")
    for other in (
        configured(catchup="all"),
        configured(overlap="skip"),
        configured(timezone="America/New_York"),  # as it was, but said
        msgspec.structs.replace(configured(), name="Another"),
    ):
        move = change(schedule, other, now, None)
        assert in_short(move) == ["Changed"]
        assert move.events[0].handled == schedule.handled  # type: ignore[attr-defined]


def test_new_times_of_a_paused_schedule_leave_the_old_ones_missed_for_good() -> None:
    schedule = a_schedule(status="paused", catchup="all")
    move = change(schedule, configured("11:00", catchup="all"), utc("2026-03-03 15:00"), None)
    assert in_short(move) == ["RunMissed 03-02", "RunMissed 03-03", "Changed"]
    assert {event.reason for event in move.events[:2]} == {"changed"}  # type: ignore[attr-defined]
    changed: Any = move.events[-1]
    assert (changed.handled, changed.next_due) == (utc("2026-03-03 15:00"), None)


def test_the_end_leaves_what_was_missed_and_what_waited_recorded() -> None:
    waiting = Planned(UUID(int=3), datetime(2026, 3, 1, 9), utc("2026-03-01 14:00"), MONDAY_AT_EIGHT.date())  # noqa: DTZ001
    schedule = a_schedule(status="paused", waiting=waiting, next_due=None)
    move = end(schedule, utc("2026-03-03 15:00"), "done")
    assert in_short(move) == ["RunMissed 03-02", "RunMissed 03-03", "RunSkipped 03-01", "Ended"]
    assert [event.reason for event in move.events] == ["ended", "ended", "ended", "done"]  # type: ignore[attr-defined]
    assert {event.next_due for event in move.events} == {None}  # type: ignore[attr-defined]


def test_a_run_now_is_no_occurrence() -> None:
    schedule = a_schedule(running=2, overlap="skip", maxRuns=1)
    move = run_now(schedule, utc("2026-03-02 23:30:15"))
    (started,) = move.events
    assert isinstance(started, events.RunStarted)
    assert (started.cause, started.as_of.isoformat()) == ("run_now", "2026-03-02")
    assert started.nominal.isoformat() == "2026-03-02T18:30:00"
    assert (started.handled, started.next_due) == (schedule.handled, schedule.next_due)
    assert started.run_id != run_now(schedule, utc("2026-03-02 23:30:15")).events[0].run_id  # type: ignore[attr-defined]
    assert after(schedule, move).run_count == 0


def test_a_run_now_out_of_reach_is_refused() -> None:
    window = decode(LookbackConfig, {"type": "custom", "startDate": "2024-01-01", "endDate": "2024-01-31"})
    schedule = a_schedule(configured=msgspec.structs.replace(configured(), lookback_config=window))
    with pytest.raises(Refused, match="2025-01-01 and 2026-03-02") as refused:
        run_now(schedule, utc("2026-03-02 15:00"))
    assert refused.value.code == "out_of_reach"


def test_a_hold_ends_at_the_end_of_the_backfill_and_a_paused_one_stays_paused() -> None:
    held = a_schedule(held=True, backfill_collection_id=UUID(int=1))
    released: Any = release(held, utc("2026-03-05 20:00")).events[0]
    assert (released.handled, released.next_due) == (utc("2026-03-05 20:00"), utc("2026-03-06 14:00"))
    paused = msgspec.structs.replace(held, status="paused")
    assert release(paused, utc("2026-03-05 20:00")).events[0].next_due is None  # type: ignore[attr-defined]
    assert resume(paused, None).events[0].next_due is None  # type: ignore[attr-defined]


def test_a_person_lets_a_schedule_wait_for_its_backfill_and_go_on_before_it_has_ended() -> None:
    beside = a_schedule(backfill_collection_id=UUID(int=1))
    held: Any = hold(beside, utc("2026-03-05 20:00"), "quota").events[-1]
    assert (held.next_due, held.reason) == (None, "quota")
    waits = msgspec.structs.replace(beside, held=True, next_due=None, handled=held.handled)
    assert advance(waits, utc("2026-03-09 20:00")).events == ()
    released: Any = let_go(waits, utc("2026-03-07 20:00"), "enough").events[0]
    assert (released.handled, released.next_due) == (utc("2026-03-07 20:00"), utc("2026-03-08 13:00"))
    assert released.reason == "enough"


def test_what_came_due_before_a_hold_is_decided_with_it() -> None:
    beside = a_schedule(backfill_collection_id=UUID(int=1))
    assert beside.next_due is not None
    *decided, held = hold(beside, beside.next_due + timedelta(minutes=1), None).events
    assert [type(event).__name__ for event in (*decided, held)] == ["RunStarted", "ScheduleHeld"]


@pytest.mark.parametrize(
    "stands",
    [
        {},
        {"backfill_collection_id": UUID(int=1), "backfill_ended": utc("2026-03-01 00:00")},
        {"backfill_collection_id": UUID(int=1), "held": True},
        {"backfill_collection_id": UUID(int=1), "status": "ended"},
    ],
    ids=["no backfill", "it has ended", "held already", "the schedule has ended"],
)
def test_what_has_nothing_to_wait_for_is_not_held(stands: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        hold(a_schedule(**stands), utc("2026-03-05 20:00"), None)
    if not stands.get("held"):
        with pytest.raises(Refused):
            let_go(a_schedule(**stands), utc("2026-03-05 20:00"), None)
