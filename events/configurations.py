"""What a report is configured with: lookback, segmentation, schedule, and the builder's first two steps.

The one description of these objects: requests are checked against it (`events.validation.decode`, which
adds the rules across fields), events record it. Lookback and schedule fields are camelCase in JSON,
segmentation fields snake_case. Defaults are written out where they apply, so an event says all that ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, field
from msgspec.structs import force_setattr

from events.validation import INVALID, Body, Problem

# What stands for a faulty part while the rest is judged.
ONE_DAY: Mapping[str, Any] = {"type": "relative", "value": 1, "unit": "days"}
DAILY: Mapping[str, Any] = {"frequency": "daily", "time": "00:00"}
IN_DAYS: Mapping[str, Any] = {"segmentation_config": {"type": "daily"}}


class UnknownZone(ValueError):
    """The name is not in the IANA zone database."""


@cache
def zone(name: str) -> ZoneInfo:
    """The IANA zone, read from the `tzdata` package alone: the machine's own database may be of another year.

    Raises UnknownZone, with the nearest name where there is one.
    """
    if name not in _zone_names():
        similar = get_close_matches(name, _zone_names(), 1) if len(name) < 60 else []
        remedy = f'did you mean "{similar[0]}"?' if similar else 'give a name like "America/New_York"'
        raise UnknownZone(f"is not a zone of the IANA database; {remedy}")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def _zone_problem(name: str) -> str | None:
    try:
        zone(name)
    except UnknownZone as error:
        return str(error)
    return None


Id = Annotated[str, Meta(min_length=1, max_length=200, extra={"expected": "an id as text in quotes"})]
ZoneName = Annotated[
    str,
    Meta(
        extra={"check": _zone_problem, "expected": 'a zone like "America/New_York"', "component": "ZoneName"},
        extra_json_schema={"enum": sorted(_zone_names()), "description": "A zone of the IANA database."},
    ),
]
TimeOfDay = Annotated[
    str,
    Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", extra={"expected": 'a time from "00:00" to "23:59"'}),
]
IsoDay = Annotated[int, Meta(ge=1, le=7)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
ParameterValue = bool | int | float | str | list[str]
ParameterValues = dict[str, ParameterValue]


def _when(given: Mapping[str, str | None], then: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a rule between fields: where the ones in `given` are there, with these values (None: any
    but null), the ones in `then` must be there and fit."""
    conditions = {
        name: {"not": {"type": "null"}} if value is None else {"const": value} for name, value in given.items()
    }
    return {
        "if": {"required": list(given), "properties": conditions},
        "then": {"required": list(then), "properties": then},
    }


class RelativeLookback(Body, frozen=True, kw_only=True, tag_field="type", tag="relative", rename="camel"):
    """A window that ends shortly before `as_of`. `week_start` is set for calendar weeks only."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {}

    value: Annotated[int, Meta(ge=1)]
    unit: Literal["days", "weeks", "months"]
    align: Literal["trailing", "calendar"] = "trailing"
    week_start: IsoDay | None = None
    data_delay_days: Annotated[int, Meta(ge=0, le=30)] = 0

    json_schema: ClassVar[Mapping[str, Any]] = {
        "allOf": [
            _when({"align": "calendar"}, {"unit": {"enum": ["weeks", "months"]}}),
            _when({"weekStart": None}, {"align": {"const": "calendar"}, "unit": {"const": "weeks"}}),
        ],
        "examples": [
            {"type": "relative", "value": 7, "unit": "days", "dataDelayDays": 2},
            {"type": "relative", "value": 1, "unit": "weeks", "align": "calendar", "weekStart": 1},
        ],
    }

    def __post_init__(self) -> None:
        if self.week_start is None and (self.unit, self.align) == ("weeks", "calendar"):
            force_setattr(self, "week_start", 1)

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        unit, align = given.get("unit", INVALID), given.get("align", "trailing")
        if (unit, align) == ("days", "calendar"):
            yield Problem("/align", '"calendar" goes with weeks or months; remove it or change the unit')
        if "weekStart" in given and (unit in ("days", "months") or align == "trailing"):
            remedy = 'remove it, or set align to "calendar" and unit to "weeks"'
            yield Problem("/weekStart", f"goes with calendar weeks only; {remedy}")


class CustomLookback(Body, frozen=True, kw_only=True, tag_field="type", tag="custom", rename="camel"):
    """The window `[start_date, end_date]` as given, both days included."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {}

    start_date: date
    end_date: date

    json_schema: ClassVar[Mapping[str, Any]] = {
        "examples": [{"type": "custom", "startDate": "2026-01-01", "endDate": "2026-01-31"}]
    }

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        yield from _reversed_dates(given)


LookbackConfig = RelativeLookback | CustomLookback


SegmentOrder = Literal["newest_first", "oldest_first"]


class SegmentationConfig(Body, frozen=True, kw_only=True):
    """How a window is cut and its segments are run. `week_start` is set for weekly segments only.

    `parallel_limit` is also bounded by the instance's own limit, which only the service knows.
    """

    stand_ins: ClassVar[Mapping[str, Any] | None] = {}

    type: Literal["daily", "weekly", "monthly"]
    week_start: IsoDay | None = None
    parallel_limit: Count = 10
    retry_failed: bool = True
    max_attempts: Count = 5
    order: SegmentOrder = "newest_first"
    reprocess: Literal["missing", "failed", "all"] = "missing"
    stop_after_failures: Count | None = None

    json_schema: ClassVar[Mapping[str, Any]] = {
        **_when({"week_start": None}, {"type": {"const": "weekly"}}),
        "examples": [{"type": "weekly", "week_start": 1, "parallel_limit": 10, "order": "newest_first"}],
    }

    def __post_init__(self) -> None:
        if self.week_start is None and self.type == "weekly":
            force_setattr(self, "week_start", 1)

    @property
    def attempts(self) -> int:
        """How often a segment is tried at most."""
        return self.max_attempts if self.retry_failed else 1

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        if "week_start" in given and given.get("type") in ("daily", "monthly"):
            yield Problem("/week_start", 'goes with weekly segments only; remove it, or set type to "weekly"')


class ScheduleBase(Body, frozen=True, kw_only=True, tag_field="frequency", rename="camel"):
    """What every recurring schedule has. `time` is local wall time; `timezone` absent means the report's."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {}

    time: TimeOfDay
    timezone: ZoneName | None = None
    gap_policy: Literal["shift", "skip"] = "shift"
    repeat_policy: Literal["first", "last"] = "first"
    short_month: Literal["last_day", "skip"] = "last_day"
    catchup: Literal["latest", "all", "none"] = "latest"
    catchup_window_hours: Count | None = None
    overlap: Literal["queue", "skip", "allow"] = "queue"
    jitter_seconds: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    start_date: date | None = None
    end_date: date | None = None
    max_runs: Count | None = None
    refresh_days: tuple[Count, ...] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "refresh_days", tuple(sorted(set(self.refresh_days))))

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        yield from _reversed_dates(given)


class DailySchedule(ScheduleBase, frozen=True, kw_only=True, tag="daily"):
    """Once on every local day."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "examples": [{"frequency": "daily", "time": "02:30", "timezone": "America/New_York"}]
    }


class WeeklySchedule(ScheduleBase, frozen=True, kw_only=True, tag="weekly"):
    """On some days of each week: sorted ISO numbers, Monday 1 to Sunday 7; a client may send 0 for Sunday."""

    days_of_week: Annotated[tuple[Annotated[int, Meta(ge=0, le=7)], ...], Meta(min_length=1)]

    json_schema: ClassVar[Mapping[str, Any]] = {
        "examples": [{"frequency": "weekly", "time": "09:00", "timezone": "America/New_York", "daysOfWeek": [1, 3, 5]}]
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        force_setattr(self, "days_of_week", tuple(sorted({day or 7 for day in self.days_of_week})))


class MonthlySchedule(ScheduleBase, frozen=True, kw_only=True, tag="monthly"):
    """On one day of each month; `short_month` decides where the month does not have it."""

    day_of_month: Annotated[int, Meta(ge=1, le=31)]

    json_schema: ClassVar[Mapping[str, Any]] = {
        "examples": [{"frequency": "monthly", "time": "09:00", "timezone": "UTC", "dayOfMonth": 15}]
    }


ScheduleConfig = DailySchedule | WeeklySchedule | MonthlySchedule


class BackfillConfig(Body, frozen=True, kw_only=True):
    """The history to fetch. `lookback_config` is the whole history's window, never that of one run: by
    default a year of complete weeks, or of complete months with monthly segments."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = IN_DAYS

    segmentation_config: SegmentationConfig
    lookback_config: LookbackConfig | None = None
    hold_schedule: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "lookback_config", self.history)

    @property
    def history(self) -> LookbackConfig:
        """The history's window, given or by default."""
        if self.lookback_config is not None:
            return self.lookback_config
        if self.segmentation_config.type == "monthly":
            return RelativeLookback(value=12, unit="months", align="calendar")
        week_start = self.segmentation_config.week_start
        return RelativeLookback(value=52, unit="weeks", align="calendar", week_start=week_start)


class OnceStep(Body, frozen=True, kw_only=True, tag_field="schedule_type", tag="once"):
    """One collection with the whole window, now; cut into segments if a long window would time out."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {}

    segmentation_config: SegmentationConfig | None = None


class ScheduledStep(Body, frozen=True, kw_only=True, tag_field="schedule_type", tag="scheduled"):
    """A recurring schedule without history."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {"schedule_config": DAILY}

    schedule_config: ScheduleConfig
    segmentation_config: SegmentationConfig | None = None


class BackfillStep(Body, frozen=True, kw_only=True, tag_field="schedule_type", tag="backfill"):
    """History alone."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {"backfill_config": IN_DAYS}

    backfill_config: BackfillConfig

    json_schema: ClassVar[Mapping[str, Any]] = {
        "allOf": [{"properties": {"backfill_config": {"properties": {"hold_schedule": {"enum": [False, None]}}}}}],
        "examples": [{"schedule_type": "backfill", "backfill_config": {"segmentation_config": {"type": "weekly"}}}],
    }

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        backfill = given.get("backfill_config")
        if isinstance(backfill, BackfillConfig) and backfill.hold_schedule:
            remedy = 'remove it, or set schedule_type to "backfill_with_schedule"'
            yield Problem("/backfill_config/hold_schedule", f"there is no schedule to hold; {remedy}")


class BackfillWithScheduleStep(
    Body, frozen=True, kw_only=True, tag_field="schedule_type", tag="backfill_with_schedule"
):
    """History, and a schedule that goes on from there: at once, or after it with `hold_schedule`."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {"schedule_config": DAILY, "backfill_config": IN_DAYS}

    schedule_config: ScheduleConfig
    backfill_config: BackfillConfig


ScheduleStep = OnceStep | ScheduledStep | BackfillStep | BackfillWithScheduleStep


class ParametersStep(Body, frozen=True, kw_only=True):
    """What is asked of which instance, and the window of one run.

    `timezone` is the report's zone; absent means the advertiser zone of the instance.
    """

    stand_ins: ClassVar[Mapping[str, Any] | None] = {"lookback_config": ONE_DAY}

    instance_id: Id
    workflow_id: Id
    lookback_config: LookbackConfig
    parameters: ParameterValues = field(default_factory=dict)
    timezone: ZoneName | None = None

    json_schema: ClassVar[Mapping[str, Any]] = {
        "examples": [
            {
                "instance_id": "amc123abc",
                "workflow_id": "0198c0de-0000-7000-8000-000000000000",
                "lookback_config": {"type": "relative", "value": 7, "unit": "days", "dataDelayDays": 2},
                "parameters": {"asins": ["B000000001"]},
                "timezone": "America/New_York",
            }
        ]
    }


def _reversed_dates(given: Mapping[str, Any]) -> Iterator[Problem]:
    start, end = given.get("startDate"), given.get("endDate")
    if isinstance(start, date) and isinstance(end, date) and end < start:
        yield Problem("/endDate", f"is before startDate {start}; give a later one or swap them")
