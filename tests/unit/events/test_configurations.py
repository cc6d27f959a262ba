"""Configurations: their defaults, and every problem of a wrong one with its pointer."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from events.configurations import (
    BackfillStep,
    CustomLookback,
    DailySchedule,
    LookbackConfig,
    OnceStep,
    ParametersStep,
    RelativeLookback,
    ScheduleConfig,
    ScheduleStep,
    SegmentationConfig,
    WeeklySchedule,
)
from events.validation import Body, Invalid, Problem, decode

SEVEN_DAYS: dict[str, Any] = {"type": "relative", "value": 7, "unit": "days"}
CALENDAR_WEEKS: dict[str, Any] = {"type": "relative", "value": 1, "unit": "weeks", "align": "calendar"}
CUSTOM: dict[str, Any] = {"type": "custom", "startDate": "2025-01-01", "endDate": "2025-01-31"}
DAILY: dict[str, Any] = {"frequency": "daily", "time": "09:00"}
WEEKLY: dict[str, Any] = {"frequency": "weekly", "time": "09:00", "daysOfWeek": [1, 3, 5]}
MONTHLY: dict[str, Any] = {"frequency": "monthly", "time": "09:00", "dayOfMonth": 15}
BACKFILL: dict[str, Any] = {"segmentation_config": {"type": "weekly"}}
PARAMETERS: dict[str, Any] = {"instance_id": "amc1", "workflow_id": "w1", "lookback_config": SEVEN_DAYS}


def problems(kind: Any, source: object) -> dict[str, str]:
    try:
        decode(kind, source)
    except Invalid as error:
        return {problem.pointer: problem.message for problem in error.problems}
    return {}


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (LookbackConfig, SEVEN_DAYS),
        (LookbackConfig, CUSTOM),
        (LookbackConfig, CALENDAR_WEEKS | {"weekStart": 7, "dataDelayDays": 2}),
        (SegmentationConfig, {"type": "daily", "parallel_limit": 10, "retry_failed": True}),
        (ScheduleConfig, DAILY | {"timezone": "America/New_York", "gapPolicy": "skip", "repeatPolicy": "last"}),
        (ScheduleConfig, WEEKLY | {"catchup": "all", "catchupWindowHours": 48, "overlap": "allow"}),
        (ScheduleConfig, MONTHLY | {"shortMonth": "skip", "jitterSeconds": 60, "maxRuns": 3, "refreshDays": [3]}),
        (ScheduleConfig, DAILY | {"startDate": "2025-01-01", "endDate": "2025-01-01"}),
        (ScheduleStep, {"schedule_type": "once"}),
        (ScheduleStep, {"schedule_type": "scheduled", "schedule_config": DAILY}),
        (ScheduleStep, {"schedule_type": "backfill", "backfill_config": BACKFILL}),
        (
            ScheduleStep,
            {
                "schedule_type": "backfill_with_schedule",
                "schedule_config": WEEKLY,
                "backfill_config": BACKFILL | {"hold_schedule": True, "lookback_config": CUSTOM},
            },
        ),
        (ParametersStep, PARAMETERS | {"timezone": "Europe/Berlin", "parameters": {"asins": ["B01"], "n": 5}}),
    ],
)
def test_what_is_decoded_survives_being_recorded_and_read_again(kind: Any, source: Any) -> None:
    config = decode(kind, source)
    recorded = msgspec.json.encode(config)
    assert decode(kind, recorded) == config
    assert msgspec.json.decode(recorded, type=kind) == config
    assert decode(kind, json.dumps(source).encode()) == config


@pytest.mark.parametrize(
    ("kind", "source", "pointer", "says"),
    [
        (LookbackConfig, SEVEN_DAYS | {"value": 0}, "/value", "at least 1"),
        (LookbackConfig, SEVEN_DAYS | {"value": True}, "/value", "not true"),
        (LookbackConfig, SEVEN_DAYS | {"value": "7"}, "/value", 'not "7"'),
        (LookbackConfig, SEVEN_DAYS | {"value": 7.5}, "/value", "whole number"),
        (LookbackConfig, SEVEN_DAYS | {"value": None}, "/value", "is missing"),
        (LookbackConfig, SEVEN_DAYS | {"unit": "years"}, "/unit", '"weeks"'),
        (LookbackConfig, SEVEN_DAYS | {"align": "calendar"}, "/align", "weeks or months"),
        (LookbackConfig, SEVEN_DAYS | {"weekStart": 1}, "/weekStart", "calendar weeks"),
        (LookbackConfig, CALENDAR_WEEKS | {"weekStart": 0}, "/weekStart", "from 1 to 7"),
        (LookbackConfig, CALENDAR_WEEKS | {"unit": "months", "weekStart": 2}, "/weekStart", "calendar weeks"),
        (LookbackConfig, SEVEN_DAYS | {"dataDelayDays": 31}, "/dataDelayDays", "from 0 to 30"),
        (LookbackConfig, SEVEN_DAYS | {"startDate": "2025-01-01"}, "/startDate", '"custom"'),
        (LookbackConfig, SEVEN_DAYS | {"week_start": 1}, "/week_start", 'did you mean "weekStart"?'),
        (LookbackConfig, SEVEN_DAYS | {"type": "absolute"}, "/type", '"relative" or "custom"'),
        (LookbackConfig, {"value": 7, "unit": "days"}, "/type", "is missing"),
        (LookbackConfig, CUSTOM | {"dataDelayDays": 2}, "/dataDelayDays", '"relative"'),
        (LookbackConfig, CUSTOM | {"endDate": "2024-12-31"}, "/endDate", "swap them"),
        (LookbackConfig, CUSTOM | {"endDate": "2025-02-29"}, "/endDate", "date of the calendar"),
        (LookbackConfig, CUSTOM | {"endDate": "20250201"}, "/endDate", "date of the calendar"),
        (LookbackConfig, CUSTOM | {"endDate": None}, "/endDate", "is missing"),
        (LookbackConfig, [], "", "an object"),
        (SegmentationConfig, {"type": "monthly", "week_start": 1}, "/week_start", "weekly"),
        (SegmentationConfig, {"type": "hourly"}, "/type", '"daily"'),
        (SegmentationConfig, {"type": "daily", "parallel_limit": 0}, "/parallel_limit", "from 1"),
        (SegmentationConfig, {"type": "daily", "parallelLimit": 1}, "/parallelLimit", "parallel_limit"),
        (SegmentationConfig, {"type": "daily", "retry_failed": 1}, "/retry_failed", "true or false"),
        (ScheduleConfig, DAILY | {"time": "24:00"}, "/time", '"23:59"'),
        (ScheduleConfig, DAILY | {"time": "9:00"}, "/time", '"23:59"'),
        (ScheduleConfig, DAILY | {"time": "09:00\n"}, "/time", '"23:59"'),
        (ScheduleConfig, DAILY | {"timezone": "America/New York"}, "/timezone", '"America/New_York"'),
        (ScheduleConfig, DAILY | {"daysOfWeek": [1]}, "/daysOfWeek", '"weekly"'),
        (ScheduleConfig, DAILY | {"jitterSeconds": -1}, "/jitterSeconds", "from 0"),
        (ScheduleConfig, DAILY | {"refreshDays": [3, 0]}, "/refreshDays/1", "from 1"),
        (ScheduleConfig, DAILY | {"startDate": "2025-02-01", "endDate": "2025-01-31"}, "/endDate", "before"),
        (ScheduleConfig, WEEKLY | {"daysOfWeek": []}, "/daysOfWeek", "at least 1"),
        (ScheduleConfig, WEEKLY | {"daysOfWeek": [1, 8]}, "/daysOfWeek/1", "from 0 to 7"),
        (ScheduleConfig, WEEKLY | {"daysOfWeek": None}, "/daysOfWeek", "is missing"),
        (ScheduleConfig, WEEKLY | {"dayOfMonth": 1}, "/dayOfMonth", '"monthly"'),
        (ScheduleConfig, MONTHLY | {"dayOfMonth": 32}, "/dayOfMonth", "from 1 to 31"),
        (ScheduleStep, {"schedule_type": "once", "schedule_config": DAILY}, "/schedule_config", '"scheduled"'),
        (ScheduleStep, {"schedule_type": "scheduled"}, "/schedule_config", "is missing"),
        (ScheduleStep, {"schedule_type": "backfill"}, "/backfill_config", "is missing"),
        (
            ScheduleStep,
            {"schedule_type": "backfill", "backfill_config": BACKFILL | {"hold_schedule": True}},
            "/backfill_config/hold_schedule",
            "backfill_with_schedule",
        ),
        (ParametersStep, PARAMETERS | {"instance_id": 123456789012345678}, "/instance_id", "in quotes"),
        (ParametersStep, PARAMETERS | {"workflow_id": ""}, "/workflow_id", "in quotes"),
        (ParametersStep, PARAMETERS | {"parameters": {"ids": ["1", 2]}}, "/parameters/ids/1", "in quotes"),
        (ParametersStep, PARAMETERS | {"parameters": {"n": 10**19 + 1}}, "/parameters/n", "number"),
    ],
)
def test_a_wrong_field_is_named_with_the_remedy(kind: Any, source: object, pointer: str, says: str) -> None:
    found = problems(kind, source)
    assert list(found) == [pointer]
    assert says in found[pointer]


def test_every_problem_is_reported_at_once() -> None:
    found = problems(
        ParametersStep,
        {
            "instance_id": 1,
            "parameters": {"a/b": {"x": 1}},
            "lookback_config": {"type": "relative", "value": 0, "unit": "days", "align": "calendar", "x": 1},
            "timezone": "Mars",
        },
    )
    assert set(found) == {
        "/instance_id",
        "/workflow_id",
        "/lookback_config/value",
        "/lookback_config/align",
        "/lookback_config/x",
        "/parameters/a~1b",
        "/timezone",
    }


def test_an_unknown_type_does_not_hide_the_problems_of_its_fields() -> None:
    assert set(problems(ScheduleConfig, {"frequency": "hourly", "time": "9", "x": 1})) == {
        "/frequency",
        "/time",
        "/x",
    }


def test_pointers_begin_where_the_caller_says() -> None:
    with pytest.raises(Invalid) as error:
        decode(LookbackConfig, SEVEN_DAYS | {"value": 0}, at="/lookback_config")
    assert error.value.problems == [Problem("/lookback_config/value", "must be a whole number of at least 1, not 0")]


def test_null_is_as_good_as_absent() -> None:
    config = decode(LookbackConfig, SEVEN_DAYS | {"align": None, "startDate": None})
    assert config == RelativeLookback(value=7, unit="days")
    assert decode(ParametersStep, PARAMETERS | {"parameters": {"a": None}}).parameters == {}


@pytest.mark.parametrize("text", ['"a\\u0000"', '"\\ud800"', '"\\udc00 x"'])
def test_text_that_postgresql_cannot_keep_is_refused_where_it_stands(text: str) -> None:
    body = '{"instance_id":"i","workflow_id":"w","lookback_config":{"type":"relative","value":1,"unit":"days"},'
    found = problems(ParametersStep, f'{body}"parameters":{{"a":{text}}}}}'.encode())
    assert list(found) == ["/parameters/a"]
    assert "surrogate" in found["/parameters/a"]
    named = problems(ParametersStep, f'{body}"parameters":{{{text}:1}}}}'.encode())
    assert len(named) == 1
    msgspec.json.encode(named)  # the answer itself can be sent


@pytest.mark.parametrize("source", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000, '{"type": "ré'.encode()])
def test_bytes_that_are_not_json_are_one_problem(source: bytes) -> None:
    assert "JSON" in problems(LookbackConfig, source)[""]


def test_defaults_are_those_of_the_table() -> None:
    assert decode(SegmentationConfig, {"type": "weekly"}) == SegmentationConfig(
        type="weekly",
        week_start=1,
        parallel_limit=10,
        retry_failed=True,
        max_attempts=5,
        order="newest_first",
        reprocess="missing",
        stop_after_failures=None,
    )
    assert decode(ScheduleConfig, DAILY) == DailySchedule(
        time="09:00",
        timezone=None,
        gap_policy="shift",
        repeat_policy="first",
        short_month="last_day",
        catchup="latest",
        overlap="queue",
        jitter_seconds=0,
        refresh_days=(),
    )
    lookback = decode(LookbackConfig, CALENDAR_WEEKS)
    assert (lookback.week_start, lookback.data_delay_days) == (1, 0)
    assert decode(LookbackConfig, SEVEN_DAYS).week_start is None
    assert decode(SegmentationConfig, {"type": "daily"}).week_start is None
    assert decode(ScheduleStep, {"schedule_type": "once"}) == OnceStep()


@pytest.mark.parametrize(
    ("segmentation", "history"),
    [
        ({"type": "weekly", "week_start": 7}, CALENDAR_WEEKS | {"value": 52, "weekStart": 7}),
        ({"type": "daily"}, CALENDAR_WEEKS | {"value": 52}),
        ({"type": "monthly"}, {"type": "relative", "value": 12, "unit": "months", "align": "calendar"}),
    ],
)
def test_a_backfill_without_a_window_fetches_a_year_of_complete_periods(segmentation: object, history: object) -> None:
    step: BackfillStep = decode(
        BackfillStep, {"schedule_type": "backfill", "backfill_config": {"segmentation_config": segmentation}}
    )
    assert step.backfill_config.lookback_config == decode(LookbackConfig, history)
    assert not step.backfill_config.hold_schedule


def test_days_of_the_week_are_sorted_with_sunday_as_seven() -> None:
    schedule: WeeklySchedule = decode(WeeklySchedule, WEEKLY | {"daysOfWeek": [0, 5, 7, 1, 1]})
    assert schedule.days_of_week == (1, 5, 7)
    assert decode(ScheduleConfig, DAILY | {"refreshDays": [30, 3, 3]}).refresh_days == (3, 30)


def test_numbers_keep_their_kind_and_their_digits() -> None:
    values = {"whole": 2**62 + 1, "part": 7.0, "flag": True, "list": []}
    kept = decode(ParametersStep, PARAMETERS | {"parameters": values}).parameters
    assert [(value, type(value)) for value in kept.values()] == [(value, type(value)) for value in values.values()]
    assert type(decode(LookbackConfig, b'{"type":"relative","value":7.0,"unit":"days"}').value) is int


class Example(Body, frozen=True, kw_only=True):
    """A body with the other kinds of fields that requests have."""

    id: UUID
    at: datetime
    day: date
    tags: tuple[str, ...]
    anything: Any = None
    nested: list[CustomLookback] = []  # noqa: RUF012


def test_other_request_bodies_are_read_by_the_same_mechanism() -> None:
    fits = {
        "id": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        "at": "2025-01-01T00:00:00Z",
        "day": "2025-01-01",
        "tags": ["a", "b"],
        "anything": {"deep": [1, None, {"x": "y"}]},
        "nested": [CUSTOM],
    }
    example = decode(Example, fits)
    assert example.at == datetime(2025, 1, 1, tzinfo=UTC)
    assert example.tags == ("a", "b")
    wrong = {"id": "x", "at": 1, "day": "d", "tags": "a", "anything": ["\ud800"], "nested": [CUSTOM, {}]}
    assert set(problems(Example, wrong)) == {
        "/id",
        "/at",
        "/day",
        "/tags",
        "/anything/0",
        "/nested/1/type",
    }


class Patterned(Body, frozen=True, kw_only=True):
    """Text whose pattern ends in `$`, and an id."""

    code: Annotated[str, Meta(pattern="^[a-z]+$")] = "x"
    id: UUID | None = None


@pytest.mark.parametrize(
    "source",
    [
        {"code": "abc\n"},
        {"code": "a\nb"},
        {"id": "6f9619ff8b8640118b42d00c04fc964ff"},
        {"id": "6f9619ff8b86d011b42d00c04fc964ff"},
        {"id": "{6f9619ff-8b86-d011-b42d-00c04fc964ff}"},
        {"id": "urn:uuid:6f9619ff-8b86-d011-b42d-00c04fc964ff"},
    ],
)
def test_text_fits_as_a_whole_or_not_at_all(source: dict[str, Any]) -> None:
    assert list(problems(Patterned, source)) == [f"/{next(iter(source))}"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = """type value unit align weekStart startDate endDate frequency time daysOfWeek parameters timezone
schedule_type backfill_config schedule_config segmentation_config lookback_config instance_id"""
NAMES = st.sampled_from(FIELDS.split())
LIKELY = st.sampled_from(["relative", "custom", "days", "weeks", "calendar", "weekly", "2025-01-01", "09:00", 1, "UTC"])
BODIES = st.dictionaries(NAMES, LIKELY | JSON, max_size=6)


@given(BODIES, st.sampled_from([LookbackConfig, ScheduleConfig, ScheduleStep, ParametersStep]))
@settings(deadline=None, max_examples=400)
def test_any_body_is_either_read_as_msgspec_would_or_refused_with_problems_that_can_be_sent(
    body: dict[str, Any], kind: Any
) -> None:
    found = problems(kind, body)
    msgspec.json.encode(found)
    if not found:
        config = decode(kind, body)
        assert msgspec.json.decode(msgspec.json.encode(config), type=kind) == config
