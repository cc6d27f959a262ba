"""What a configuration will do: segments, runs, rules in plain words, estimate, warnings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from events.configurations import (
    BackfillStep,
    BackfillWithScheduleStep,
    LookbackConfig,
    OnceStep,
    ScheduledStep,
    ScheduleStep,
    SegmentationConfig,
)
from events.types.report import ParametersSet
from events.types.schedule import LocalTime
from service.builder.history import History, estimate_seconds
from service.builder.models import Ground
from service.data_collections.choice import Existing, Past, Skip, skips
from service.data_collections.lookback import lookback_dates, lookback_warnings
from service.data_collections.plan import plan_segments
from service.data_collections.windows import Window
from service.data_collections.words import segmentation_sentences
from service.endpoints import Answer
from service.schedules.occurrences import Occurrence, ScheduleSpec
from service.schedules.runs import as_of as run_as_of
from service.schedules.words import sentences, upcoming
from service.words import counted, date_text, range_text
from service.workflows.inspect import Inspection, segmentation_warnings
from service.workflows.recommendation import recommend_segmentation

NEXT_RUNS = 10
MANY_EXECUTIONS = 100

WARNINGS = {
    "data_may_be_incomplete": "The window ends less than 2 days ago; Amazon completes a day's data within 48 hours.",
    "incomplete_day": "The window includes today, which is not over.",
    "beyond_amazon_retention": "The window begins more than 13 months ago; Amazon's guides say that it keeps 13.",
    "zone_differs_from_advertiser": "The report's days are not those of the advertiser's zone, which AMC's date columns"
    " follow.",
    "many_executions": f"This takes more than {MANY_EXECUTIONS} AMC executions.",
    "distinct_counts_do_not_add_up": "Distinct counts of segments do not add up to that of the whole window: who is in"
    " two segments counts twice.",
    "smaller_segments_hide_more": "AMC hides rows of few users, and smaller segments have more of those.",
}
"""What each warning tells a person; a warning never blocks."""


class WindowAnswer(Answer, frozen=True, kw_only=True):
    """Dates in `timezone`, both included."""

    start: date
    end: date
    days: int
    timezone: str
    sentence: str


class WarningAnswer(Answer, frozen=True, kw_only=True):
    code: str
    message: str


class PreviewSegment(Answer, frozen=True, kw_only=True):
    """A segment of the collection. `partial`: the window cuts it short of its calendar week or month. `runs`: AMC is
    asked for it; where not, `there` says whether an equal one was completed, and `note` which, or why it counts not."""

    number: int
    start: date
    end: date
    partial: bool
    runs: bool = True
    there: bool = False
    note: str | None = None


class NextRun(Answer, frozen=True, kw_only=True):
    """A run of the schedule, or with `runs` false a date on which there is none; `note` says why, and what the
    clocks do. The window is what the run will fetch."""

    runs: bool
    nominal: LocalTime | None
    local: datetime
    utc: datetime
    abbreviation: str
    note: str | None
    window_start: date | None = None
    window_end: date | None = None


class Recommendation(Answer, frozen=True, kw_only=True):
    """How to cut the history, and why; null: not at all."""

    segmentation_config: SegmentationConfig | None
    reason: str


class Estimate(Answer, frozen=True, kw_only=True):
    """How long the collection will take, in seconds, from what `based_on` segments of this instance took."""

    low_seconds: int
    high_seconds: int
    based_on: int


class Preview(Answer, frozen=True, kw_only=True):
    """What will happen. `window` and `segments` are of the collection that is set to work at once, or for a
    schedule alone of a run on that day; `amc_executions` counts the segments that run."""

    as_of: date
    window: WindowAnswer
    segments: list[PreviewSegment]
    amc_executions: int
    next_runs: list[NextRun]
    policies: list[str]
    recommendation: Recommendation
    estimate: Estimate | None
    warnings: list[WarningAnswer]


class Facts(msgspec.Struct, frozen=True):
    """What the tables know: what has become of equal segments, found by the content key, and what segments take on
    the instance; and what the SQL does."""

    key: str = ""
    past: Past = Past()
    history: History | None = None
    inspection: Inspection = Inspection()


def preview(
    parameters: ParametersSet, step: ScheduleStep, ground: Ground, facts: Facts, as_of: date, now: datetime
) -> Preview:
    """Everything that a person should see before they decide; `now` is where the next runs are counted from."""
    window = collected_window(parameters, step, as_of)
    segmentation = segmentation_of(step)
    shown = _segments(window, step, facts, ground.instance.final_after_days)
    executions = sum(segment.runs for segment in shown)
    recommended, reason = recommend_segmentation(window, facts.inspection)
    at_once = min(segmentation.parallel_limit if segmentation else 1, ground.instance.max_concurrent)
    estimate = None
    if facts.history:
        low, high = estimate_seconds(facts.history, executions, at_once)
        estimate = Estimate(low_seconds=low, high_seconds=high, based_on=facts.history.segments)
    codes: list[str] = list(lookback_warnings(window, as_of))
    if isinstance(step, BackfillWithScheduleStep):
        codes += lookback_warnings(lookback_dates(parameters.lookback_config, as_of), as_of)
    if parameters.timezone != ground.instance.time_zone:
        codes.append("zone_differs_from_advertiser")
    if executions > MANY_EXECUTIONS:
        codes.append("many_executions")
    codes += segmentation_warnings(facts.inspection, len(shown))
    return Preview(
        as_of=as_of,
        window=window_answer(window, parameters.timezone, as_of),
        segments=shown,
        amc_executions=executions,
        next_runs=_next_runs(parameters, step, now),
        policies=_policies(parameters, step, ground),
        recommendation=Recommendation(segmentation_config=recommended, reason=reason),
        estimate=estimate,
        warnings=warning_answers(codes),
    )


def collected_window(parameters: ParametersSet, step: ScheduleStep, as_of: date) -> Window:
    """The window of the collection that is set to work at once, or of a schedule's run on that day."""
    return lookback_dates(history_of(parameters, step), as_of)


def history_of(parameters: ParametersSet, step: ScheduleStep) -> LookbackConfig:
    """The lookback of the collection that is set to work at once: the history's, or that of one run."""
    if isinstance(step, BackfillStep | BackfillWithScheduleStep):
        return step.backfill_config.history
    return parameters.lookback_config


def segmentation_of(step: ScheduleStep) -> SegmentationConfig | None:
    """How the collection is cut; None leaves it whole."""
    if isinstance(step, BackfillStep | BackfillWithScheduleStep):
        return step.backfill_config.segmentation_config
    return step.segmentation_config


def skipped(step: ScheduleStep, window: Window, past: Past, final_after_days: int) -> dict[Window, Skip]:
    """The segments of the window that are not run; a window that is not cut is run whatever there is."""
    if (segmentation := segmentation_of(step)) is None:
        return {}
    windows = [Window(segment.start, segment.end) for segment in plan_segments(window, segmentation)]
    return skips(windows, segmentation.reprocess, past, final_after_days)


def window_answer(window: Window, timezone: str, as_of: date) -> WindowAnswer:
    """The window with one sentence that says it, and how complete its data is."""
    complete_to = date.fromordinal(as_of.toordinal() - 2)
    state = (
        "Amazon's data is complete"
        if window.end <= complete_to
        else f"Amazon's data is complete to {date_text(complete_to)}"
        if window.start <= complete_to
        else "Amazon's data is not complete yet"
    )
    dates = f"{range_text(window.start, window.end)}, {counted(window.days, 'day')}"
    return WindowAnswer(
        start=window.start, end=window.end, days=window.days, timezone=timezone, sentence=f"{dates}; {state}."
    )


def _segments(window: Window, step: ScheduleStep, facts: Facts, final_after_days: int) -> list[PreviewSegment]:
    left_out = skipped(step, window, facts.past, final_after_days)
    known = {found.window: found for found in facts.past.existing}
    shown = []
    for segment in plan_segments(window, segmentation_of(step)):
        days = Window(segment.start, segment.end)
        skip = left_out.get(days)
        shown.append(
            PreviewSegment(
                number=segment.number,
                start=segment.start,
                end=segment.end,
                partial=segment.partial,
                runs=skip is None,
                there=skip is not None and skip.result is not None,
                note=_note(skip, known.get(days), days in facts.past.failed, final_after_days),
            )
        )
    return shown


def _note(skip: Skip | None, existing: Existing | None, failed: bool, final_after_days: int) -> str | None:
    """Why a segment is run, or not, where something is there."""
    if skip and existing:
        state = "final" if skip.reason == "final" else "not asked to be run again"
        return (
            f"Completed by the collection {existing.result.collection_id}, executed on {existing.executed} and"
            f" {state}: it is not run again."
        )
    if skip:
        return "It has not failed: it is not run."
    if failed:
        return "Its last attempt failed: it is run again."
    if existing and not existing.final(final_after_days):
        return (
            f"Executed on {existing.executed}, less than {final_after_days} days after its end, and so"
            " provisional: it is run again."
        )
    return None


def _next_runs(parameters: ParametersSet, step: ScheduleStep, now: datetime) -> list[NextRun]:
    if not isinstance(step, ScheduledStep | BackfillWithScheduleStep):
        return []
    spec = ScheduleSpec.of(step.schedule_config, parameters.timezone)
    found = []
    for line in upcoming(spec, now, NEXT_RUNS):
        window = None
        if line.nominal is not None:
            occurrence = Occurrence(line.nominal, line.utc, line.local.replace(tzinfo=None))
            window = lookback_dates(parameters.lookback_config, run_as_of(spec, occurrence, parameters.timezone))
        found.append(
            NextRun(
                **msgspec.structs.asdict(line),
                window_start=window.start if window else None,
                window_end=window.end if window else None,
            )
        )
    return found


def _policies(parameters: ParametersSet, step: ScheduleStep, ground: Ground) -> list[str]:
    found = segmentation_sentences(segmentation_of(step), ground.instance.max_concurrent)
    if isinstance(step, ScheduledStep | BackfillWithScheduleStep):
        found += sentences(ScheduleSpec.of(step.schedule_config, parameters.timezone), parameters.timezone)
    if isinstance(step, BackfillWithScheduleStep):
        found.append(
            "The schedule starts when the backfill has come to its end."
            if step.backfill_config.hold_schedule
            else "The schedule starts at once, beside the backfill."
        )
    return found


def warning_answers(codes: Iterable[str]) -> list[WarningAnswer]:
    """The warnings, each once, with what they tell a person."""
    return [WarningAnswer(code=code, message=WARNINGS[code]) for code in dict.fromkeys(codes)]


def recurs(step: ScheduleStep) -> bool:
    """Whether a schedule is set to work."""
    return isinstance(step, ScheduledStep | BackfillWithScheduleStep)


def runs_once(step: ScheduleStep) -> bool:
    """Whether a collection is set to work at once."""
    return not isinstance(step, ScheduledStep)


def is_bulk(step: ScheduleStep) -> bool:
    """Whether that collection is a backfill, which counts as one and leaves a slot to others."""
    return not isinstance(step, OnceStep | ScheduledStep)
