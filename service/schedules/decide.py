"""What is recorded of a schedule as time passes, and as people pause, resume, change, run and end it.

Pure: the schedule as it stands and the moment go in, events come out. Whoever appends them names the stream's
version that the schedule was read at, so of several that decide at once one is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from events.configurations import ScheduleConfig, zone
from events.envelope import new_id
from events.types import schedule as events
from events.types.collection import CollectionCreated
from events.types.workflow import WorkflowCreated
from projections.schedules import ScheduleStatus
from service.data_collections.lookback import earliest_allowed, lookback_dates, within_limit
from service.data_collections.plan import plan_collection
from service.data_collections.windows import today
from service.problems import Refused
from service.schedules.catchup import CatchUp, DueRun, MissedRun, missed_runs
from service.schedules.occurrences import Occurrence, ScheduleSpec
from service.schedules.overlap import may_start_waiting, overlap
from service.schedules.runs import as_of, run_id
from service.schedules.state import Planned, Schedule

AT_ONCE = 200
"""Occurrences that one decision takes: after years of absence the rest goes into further appends."""


class Move(msgspec.Struct, frozen=True):
    """What is to be appended, all or nothing: events of the schedule's stream, and the collections that its runs
    are."""

    events: tuple[msgspec.Struct, ...] = ()
    collections: tuple[tuple[UUID, CollectionCreated], ...] = ()


def advance(schedule: Schedule, now: datetime, *, at_most: int = AT_ONCE) -> Move:
    """What time has brought: the start of the run that waited, each occurrence that has come due (the oldest
    `at_most` of them), the end of the schedule. An empty move where nothing is to be recorded."""
    if schedule.status != "active" or schedule.held:
        return Move()
    course = _Course(schedule, now)
    course.start_waiting()
    if course.decide_due(at_most):
        course.end_if_over()
    return course.move()


def release(schedule: Schedule, at: datetime) -> Move:
    """The backfill that held the schedule ended at this instant of the service's clock: it counts from there."""
    assert schedule.backfill_collection_id is not None
    next_due = _next_due(schedule, schedule.spec, at) if schedule.status == "active" else None
    released = events.Released(handled=at, next_due=next_due, backfill_collection_id=schedule.backfill_collection_id)
    return Move((released,))


def hold(schedule: Schedule, now: datetime, reason: str | None) -> Move:
    """From now on no occurrence counts until its backfill has come to its end; what runs goes on. Refuses a schedule
    whose backfill has ended, or that has none."""
    _refuse_unless(schedule, "active", "paused")
    if schedule.held:
        raise _refused(schedule, "it is held already")
    if schedule.backfill_collection_id is None or schedule.backfill_ended is not None:
        raise _refused(schedule, "it has no backfill that has not come to its end")
    course = _Course(schedule, now)
    if schedule.status == "active":
        course.start_waiting()
        course.decide_due(None)
    course.events.append(
        events.ScheduleHeld(
            handled=course.handled,
            next_due=None,
            backfill_collection_id=schedule.backfill_collection_id,
            reason=reason,
        )
    )
    return course.move()


def let_go(schedule: Schedule, now: datetime, reason: str | None) -> Move:
    """It counts from now on, beside its backfill. Refuses a schedule that is not held."""
    _refuse_unless(schedule, "active", "paused")
    if not schedule.held:
        raise _refused(schedule, "it is not held")
    (released,) = release(schedule, now).events
    return Move((msgspec.structs.replace(released, reason=reason),))


def pause(schedule: Schedule, reason: str | None) -> Move:
    """Nothing starts until it is resumed; what runs goes on. Refuses a schedule that is not active."""
    _refuse_unless(schedule, "active")
    return Move((events.Paused(handled=schedule.handled, next_due=None, reason=reason),))


def resume(schedule: Schedule, reason: str | None) -> Move:
    """It goes on; what came due meanwhile is decided by its catch-up rule. Refuses one that is not paused."""
    _refuse_unless(schedule, "paused")
    next_due = None if schedule.held else _next_due(schedule, schedule.spec, schedule.handled)
    return Move((events.Resumed(handled=schedule.handled, next_due=next_due, reason=reason),))


def change(schedule: Schedule, configured: events.Configured, now: datetime, reason: str | None) -> Move:
    """The new configuration, from the next run on.

    What had come due before is decided by the old one. Where the times change the new ones count from now: a
    paused schedule then makes up nothing of the old ones.
    """
    _refuse_unless(schedule, "active", "paused")
    course = _Course(schedule, now)
    handled = schedule.handled
    if not schedule.held and _times(schedule.configured) != _times(configured):
        if schedule.status == "active":
            course.start_waiting()
            course.decide_due(None)
        else:
            course.miss_due("changed")
        handled = max(course.handled, now)
    after = msgspec.structs.replace(
        schedule,
        configured=configured,
        run_count=course.run_count,
        waiting=course.waiting,
    )
    waits = schedule.held or schedule.status == "paused"
    next_due = None if waits else _next_due(after, after.spec, handled)
    fields = {name: getattr(configured, name) for name in events.Configured.__struct_fields__}
    course.events.append(events.Changed(**fields, handled=handled, next_due=next_due, reason=reason))
    return course.move()


def end(schedule: Schedule, now: datetime, reason: str | None) -> Move:
    """Nothing starts any more: neither the run that waits, nor those that were missed. What runs goes on."""
    _refuse_unless(schedule, "active", "paused")
    course = _Course(schedule, now)
    course.next_due = None
    if not schedule.held:
        course.miss_due("ended")
    if course.waiting is not None:
        course.skip(course.waiting, "ended")
    course.events.append(events.Ended(handled=course.handled, next_due=None, cause="person", reason=reason))
    return course.move()


def run_now(schedule: Schedule, now: datetime) -> Move:
    """A run of its own, at once, whatever else runs; its window counts from today. It is no occurrence: it
    moves nothing and counts towards no limit. Refuses an ended schedule, and a window out of AMC's reach."""
    _refuse_unless(schedule, "active", "paused")
    minute = now.replace(second=0, microsecond=0)
    local = minute.astimezone(zone(schedule.spec.zone_name)).replace(tzinfo=None)
    planned = Planned(new_id(), local, now, today(schedule.configured.timezone, now))
    course = _Course(schedule, now)
    if not course.in_reach(planned):
        earliest = earliest_allowed(planned.as_of, schedule.retention_days)
        raise Refused(
            "out_of_reach",
            f"today's window reaches beyond what AMC has: it must lie between {earliest} and {planned.as_of};"
            " change lookback_config",
        )
    course.next_due = schedule.next_due
    course.start(planned, "run_now")
    return course.move()


class _Course:
    """A schedule's way through one decision: where it stands, and what is recorded on the way."""

    def __init__(self, schedule: Schedule, now: datetime) -> None:
        self.schedule = schedule
        self.now = now
        self.spec = schedule.spec
        self.policy = schedule.configured.schedule_config.overlap
        self.handled, self.next_due = schedule.handled, schedule.next_due
        self.running, self.waiting, self.run_count = schedule.running, schedule.waiting, schedule.run_count
        self.events: list[msgspec.Struct] = []
        self.collections: list[tuple[UUID, CollectionCreated]] = []

    @property
    def counted(self) -> int:
        """Runs towards `maxRuns`: what waits will run."""
        return self.run_count + (self.waiting is not None)

    def start_waiting(self) -> None:
        """The run that waits goes before any other, as soon as it may."""
        if self.waiting is not None and may_start_waiting(self.policy, self.running):
            self.start(self.waiting, "waited")

    def decide_due(self, at_most: int | None) -> bool:
        """Decides each occurrence that has come due, oldest first; False where `at_most` left some for later."""
        taken = 0
        while entries := self._entries(found := self._found()):
            for entry, next_due in entries:
                if taken == at_most:
                    self._settle()
                    return False
                taken += 1
                self.handled, self.next_due = entry.occurrence.instant, next_due
                if run_id(self.schedule.schedule_id, entry.occurrence.nominal) not in self.schedule.recorded:
                    self._decide(entry)
            # Runs that were skipped have left room under maxRuns: what they kept out is looked at again.
            if found.next_due is not None:
                break
        self.next_due = self._found().next_due
        self._settle()
        return True

    def miss_due(self, reason: events.MissedReason) -> None:
        """Records each occurrence that has come due as missed."""
        for entry, _ in self._entries(self._found()):
            self.handled = entry.occurrence.instant
            planned = self._planned(entry.occurrence)
            if planned.run_id not in self.schedule.recorded:
                self.events.append(events.RunMissed(**self._run(planned), reason=reason))

    def end_if_over(self) -> None:
        """The end, once no run is left to come and none waits."""
        if self.next_due is None and self.waiting is None:
            limit = self.schedule.configured.schedule_config.max_runs
            reached: events.EndCause = "max_runs" if limit is not None and self.run_count >= limit else "end_date"
            self.events.append(events.Ended(handled=self.handled, next_due=None, cause=reached, reason=None))

    def start(self, planned: Planned, cause: events.RunCause) -> None:
        """Starts the run, or records that AMC cannot fill its window."""
        if not self.in_reach(planned):
            self.skip(planned, "out_of_reach")
            return
        self._no_longer_waits(planned)
        collection_id = new_id()
        self.collections.append((collection_id, self._collection(planned)))
        self.running += 1
        self.run_count += cause != "run_now"
        self.events.append(
            events.RunStarted(**self._run(planned), as_of=planned.as_of, cause=cause, collection_id=collection_id)
        )

    def skip(self, planned: Planned, reason: events.SkippedReason) -> None:
        self._no_longer_waits(planned)
        self.events.append(events.RunSkipped(**self._run(planned), reason=reason))

    def in_reach(self, planned: Planned) -> bool:
        """Whether AMC has the run's window: as of its own day, and now, which for a late run is another."""
        configured, retention = self.schedule.configured, self.schedule.retention_days
        if not within_limit(configured.lookback_config, planned.as_of, retention):
            return False
        start = lookback_dates(configured.lookback_config, planned.as_of).start
        return start >= earliest_allowed(today(configured.timezone, self.now), retention)

    def move(self) -> Move:
        return Move(tuple(self.events), tuple(self.collections))

    def _found(self) -> CatchUp:
        return missed_runs(self.spec, self.schedule.schedule_id, self.handled, self.now, self.counted)

    def _entries(self, found: CatchUp) -> list[tuple[DueRun | MissedRun, datetime | None]]:
        """What has come due, oldest first, each with when the one after it did."""
        come: list[DueRun | MissedRun] = [*found.runs, *found.missed]
        entries = sorted(come, key=lambda entry: entry.occurrence.instant)
        following = [*(entry.occurrence.instant for entry in entries[1:]), found.next_due]
        return list(zip(entries, following, strict=True)) if entries else []

    def _decide(self, entry: DueRun | MissedRun) -> None:
        planned = self._planned(entry.occurrence)
        if isinstance(entry, MissedRun):
            self.events.append(events.RunMissed(**self._run(planned), reason=entry.reason))
            return
        match overlap(self.policy, self.running, self.waiting is not None):
            case "start":
                self.start(planned, "caught_up" if entry.caught_up else "on_time")
            case "skip":
                self.skip(planned, "overlap")
            case decision:
                if decision == "replace" and self.waiting is not None:
                    self.skip(self.waiting, "coalesced")
                self.waiting = planned
                self.events.append(events.RunWaiting(**self._run(planned), as_of=planned.as_of))

    def _settle(self) -> None:
        """Lets the last event say where the schedule stands now; where it has moved without one, that is one."""
        if self.events:
            self.events[-1] = msgspec.structs.replace(self.events[-1], handled=self.handled, next_due=self.next_due)
        elif (self.handled, self.next_due) != (self.schedule.handled, self.schedule.next_due):
            self.events.append(events.Rescheduled(handled=self.handled, next_due=self.next_due))

    def _planned(self, occurrence: Occurrence) -> Planned:
        return Planned(
            run_id(self.schedule.schedule_id, occurrence.nominal),
            occurrence.nominal,
            occurrence.instant,
            as_of(self.spec, occurrence, self.schedule.configured.timezone),
        )

    def _run(self, planned: Planned) -> dict[str, Any]:
        return {
            "run_id": planned.run_id,
            "nominal": planned.nominal,
            "instant": planned.instant,
            "handled": self.handled,
            "next_due": self.next_due,
        }

    def _no_longer_waits(self, planned: Planned) -> None:
        if self.waiting is not None and self.waiting.run_id == planned.run_id:
            self.waiting = None

    def _collection(self, planned: Planned) -> CollectionCreated:
        schedule, configured = self.schedule, self.schedule.configured
        return plan_collection(
            name=configured.name,
            report_id=schedule.report_id,
            instance_id=configured.instance_id,
            lane="interactive",
            workflow=WorkflowCreated(configured.name, configured.sql_query, configured.declared_parameters),
            parameters=configured.parameters,
            timezone=configured.timezone,
            as_of=planned.as_of,
            lookback=configured.lookback_config,
            segmentation=configured.segmentation_config,
            schedule_id=schedule.schedule_id,
        )


def status_after(schedule: Schedule, move: Move) -> ScheduleStatus:
    """The schedule's status once the move is recorded."""
    match move.events[-1]:
        case events.Paused():
            return "paused"
        case events.Resumed():
            return "active"
        case events.Ended():
            return "ended"
    return schedule.status


def spec_of(configured: events.Configured) -> ScheduleSpec:
    """When a configuration runs."""
    return ScheduleSpec.of(configured.schedule_config, configured.timezone)


def _next_due(schedule: Schedule, spec: ScheduleSpec, after: datetime) -> datetime | None:
    """When the first occurrence later than `after` is due, with its jitter; None where there is none."""
    counted = schedule.run_count + (schedule.waiting is not None)
    return missed_runs(spec, schedule.schedule_id, after, datetime.min.replace(tzinfo=UTC), counted).next_due


def _times(configured: events.Configured) -> tuple[object, ...]:
    """What decides when it runs, and nothing else."""
    config: ScheduleConfig = configured.schedule_config
    kept: Iterable[str] = (
        name
        for name in config.__struct_fields__
        if name not in ("catchup", "catchup_window_hours", "overlap", "jitter_seconds", "max_runs", "refresh_days")
    )
    spec = ScheduleSpec.of(config, configured.timezone)
    return (type(config), spec.zone_name, *(getattr(config, name) for name in kept if name != "timezone"))


def _refused(schedule: Schedule, why: str) -> Refused:
    return Refused("schedule_state", why, extra={"schedule_status": schedule.status})


def _refuse_unless(schedule: Schedule, *states: str) -> None:
    if schedule.status not in states:
        raise Refused(
            "schedule_state",
            f"the schedule is {schedule.status}; this takes one that is {' or '.join(states)}",
            extra={"schedule_status": schedule.status},
        )
