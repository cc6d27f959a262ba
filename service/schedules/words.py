"""A schedule in plain English, for its review: its rules, and its next runs with what clocks do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec

from events.configurations import MonthlySchedule, ScheduleConfig, WeeklySchedule, zone
from events.types.schedule import LocalTime
from service.schedules.occurrences import DAY, Occurrence, Omission, ScheduleSpec, timetable
from service.words import MONTHS, WEEKDAYS, counted, date_text, listed


class Upcoming(msgspec.Struct, frozen=True):
    """A line of the preview: a run, or a date on which there is none and the note says why."""

    runs: bool
    nominal: LocalTime | None
    """The local date-time asked for; it identifies the run. None where there is none."""
    local: datetime
    """What the clocks show at that moment, with the zone's offset."""
    utc: datetime
    abbreviation: str
    """The zone's own name for its offset then: `EDT`, or a number such as `-03` where it has none."""
    note: str | None
    """What a change of the clocks, or the calendar, does here."""


def sentences(spec: ScheduleSpec, report_zone: str) -> tuple[str, ...]:
    """The rules of a schedule, one sentence each, in the order in which they matter to a reader."""
    config = spec.config
    found = [f"Runs {_how_often(config)} at {config.time}, {spec.zone_name} time."]
    if spec.zone_name != report_zone:
        found.append(f"The dates of its windows are those of the report's zone, {report_zone}.")
    found += _limits(config)
    if isinstance(config, MonthlySchedule) and config.day_of_month > 28:
        last_day = config.short_month == "last_day"
        found.append(
            f"In a month without day {config.day_of_month} it "
            + ("runs on the last day." if last_day else "does not run.")
        )
    if config.gap_policy == "shift":
        found.append(f"Where clocks go forward past {config.time}, it runs later by as much, as 02:30 would at 03:30.")
    else:
        found.append(f"Where clocks go forward past {config.time}, it does not run that day.")
    found.append(f"Where clocks go back and {config.time} comes twice, it runs once, the {config.repeat_policy} time.")
    found += [_catch_up(config), _overlap(config)]
    if config.jitter_seconds > 1:
        wait = counted(config.jitter_seconds - 1, "second")
        found.append(f"Each run starts up to {wait} later than its time; its window stays the same.")
    if config.refresh_days:
        ages = listed(map(str, config.refresh_days))
        plural = "s" if config.refresh_days != (1,) else ""
        found.append(f"Each run also fetches again the segments that ended {ages} day{plural} before.")
    return tuple(found)


def upcoming(spec: ScheduleSpec, after: datetime, count: int, runs_done: int = 0) -> tuple[Upcoming, ...]:
    """The next `count` runs later than `after`, or as many as are left, and the dates left out between them."""
    left = count if spec.config.max_runs is None else min(count, spec.config.max_runs - runs_done)
    rules = zone(spec.zone_name)
    lines: list[Upcoming] = []
    before = after.astimezone(rules)
    if left < 1:
        return ()
    for entry in timetable(spec, after):
        local = entry.instant.astimezone(rules)
        if isinstance(entry, Occurrence):
            left -= 1
            note, nominal = _run_note(entry, before, local), entry.nominal
        else:
            note, nominal = _omission_note(spec.config, entry), None
        abbreviation = local.tzname() or ""
        lines.append(Upcoming(nominal is not None, nominal, _plain(local), entry.instant, abbreviation, note))
        before = local
        if left == 0:
            break
    return tuple(lines)


def _how_often(config: ScheduleConfig) -> str:
    if isinstance(config, MonthlySchedule):
        return f"every month on day {config.day_of_month}"
    if isinstance(config, WeeklySchedule) and len(config.days_of_week) < 7:
        return f"every {listed(WEEKDAYS[day - 1] for day in config.days_of_week)}"
    return "every day"


def _limits(config: ScheduleConfig) -> list[str]:
    found = []
    if config.start_date:
        found.append(f"Its first day is {date_text(config.start_date)}.")
    if config.end_date:
        found.append(f"Its last day is {date_text(config.end_date)}.")
    if config.max_runs:
        found.append(f"It ends after {counted(config.max_runs, 'run')}.")
    return found


def _catch_up(config: ScheduleConfig) -> str:
    if config.catchup == "none":
        return "Runs missed in an outage or a pause are not made up."
    newest = config.catchup == "latest"
    which = "the newest missed run is" if newest else "every missed run is"
    if config.catchup_window_hours is not None:
        bound = f"if it is not older than {counted(config.catchup_window_hours, 'hour')}"
    elif newest:
        bound = "unless the next one is due already"
    else:
        bound = "if it is of the last 7 days, or the newest"
    return f"After an outage or a pause {which} made up, {bound}."


def _overlap(config: ScheduleConfig) -> str:
    if config.overlap == "queue":
        return "While the run before is not done, the next one waits; at most one waits, the newest."
    if config.overlap == "skip":
        return "While the run before is not done, the next one is skipped."
    return "A run starts even while the one before is not done."


def _run_note(run: Occurrence, before: datetime, local: datetime) -> str | None:
    wanted, shown = f"{run.nominal:%H:%M}", f"{run.local:%H:%M}"
    if run.change == "shifted":
        note = f"Clocks go forward that day: {wanted} does not exist, runs at {shown}"
        if run.local.date() == run.nominal.date():
            return f"{note}."
        return f"{note} on {date_text(run.local.date())}, and counts as {date_text(run.nominal.date())}."
    if run.change is not None:
        return f"Clocks go back that day: {wanted} exists twice, runs the {run.change} time."
    moved = (local.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
    if not moved:
        return None
    way = "forward" if moved > timedelta() else "back"
    return f"Clocks have gone {way} by {_duration(abs(moved))}: {wanted} is now {local.astimezone(UTC):%H:%M} UTC."


def _omission_note(config: ScheduleConfig, omission: Omission) -> str:
    day = omission.day
    if omission.reason == "gap":
        return f"Clocks go forward on {date_text(day)}: {config.time} does not exist, no run."
    if omission.reason == "missing_day":
        return f"{date_text(day)} does not exist in this zone, no run."
    assert isinstance(config, MonthlySchedule)
    return f"{MONTHS[day.month - 1]} {day.year} has no day {config.day_of_month}, no run."


def _duration(time: timedelta) -> str:
    days, minutes = time // DAY, time % DAY // timedelta(minutes=1)
    parts = ((days, "day"), (minutes // 60, "hour"), (minutes % 60, "minute"))
    return " ".join(counted(number, unit) for number, unit in parts if number)


def _plain(local: datetime) -> datetime:
    """With a fixed offset instead of the zone, as JSON has it."""
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta()), fold=0)
