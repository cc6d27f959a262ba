"""What each step of a report records. Pure: the report, what it stands on, the command and the day go in."""

from __future__ import annotations

import hashlib
from datetime import date
from uuid import UUID

from events import codec
from events.configurations import (
    BackfillStep,
    BackfillWithScheduleStep,
    LookbackConfig,
    OnceStep,
    ParametersStep,
    ScheduledStep,
    ScheduleStep,
    SegmentationConfig,
)
from events.types.collection import CollectionCreated, Lane
from events.types.report import ParametersSet, Reviewed, ScheduleSet, Submitted
from events.validation import Problem
from service.builder.models import Ground, Report
from service.data_collections.lookback import earliest_allowed, lookback_dates, lookback_warnings, within_limit
from service.data_collections.plan import plan_collection, plan_segments
from service.data_collections.windows import Window
from service.problems import Refused


def set_parameters(state: Report, ground: Ground, step: ParametersStep, as_of: date) -> ParametersSet:
    """Step 1. Refuses parameters that the SQL does not declare, lacks, and windows out of AMC's reach."""
    _refuse_submitted(state)
    declared = {parameter.name: parameter for parameter in ground.workflow.parameters}
    problems = [
        Problem(
            _pointer(name),
            f"the workflow declares no such parameter; it has {', '.join(sorted(declared)) or 'none'}",
        )
        for name in step.parameters
        if name not in declared
    ]
    problems += [
        Problem(_pointer(name), "is missing, and the workflow has no default for it")
        for name, parameter in declared.items()
        if parameter.default is None and name not in step.parameters
    ]
    problems += _window_problems(step.lookback_config, ground, as_of, "/lookback_config")
    if problems:
        raise Refused("invalid", "the parameters do not fit the workflow and the instance", problems=problems)
    return ParametersSet(
        instance_id=step.instance_id,
        workflow_id=step.workflow_id,
        parameters=step.parameters,
        lookback_config=step.lookback_config,
        timezone=step.timezone or ground.instance.time_zone,
    )


def set_schedule(state: Report, ground: Ground, step: ScheduleStep, as_of: date) -> ScheduleSet:
    """Step 2. Refuses a history out of AMC's reach and more parallel segments than the instance runs."""
    _refuse_submitted(state)
    if isinstance(step, ScheduledStep | BackfillWithScheduleStep):
        problem = Problem("/schedule_type", 'recurring schedules cannot be run yet; choose "once" or "backfill"')
        raise Refused("invalid", "the schedule cannot be run", problems=[problem])
    problems = []
    segmentation: SegmentationConfig | None
    if isinstance(step, BackfillStep):
        at = "/backfill_config/segmentation_config"
        segmentation = step.backfill_config.segmentation_config
        problems += _window_problems(step.backfill_config.history, ground, as_of, "/backfill_config/lookback_config")
    else:
        at, segmentation = "/segmentation_config", step.segmentation_config
    limit = ground.instance.max_concurrent
    if segmentation and segmentation.parallel_limit > limit:
        problems.append(Problem(f"{at}/parallel_limit", f"the instance runs {limit} at once; give at most that"))
    if segmentation and segmentation.stop_after_failures is not None:
        problems.append(Problem(f"{at}/stop_after_failures", "stopping after failures is not built yet; leave it out"))
    if segmentation and segmentation.reprocess == "failed":
        problems.append(Problem(f"{at}/reprocess", 'a new collection has no failed segments; give "missing" or "all"'))
    if problems:
        raise Refused("invalid", "the schedule does not fit the instance", problems=problems)
    return ScheduleSet(schedule=step)


def review(state: Report, ground: Ground, as_of: date) -> Reviewed:
    """Step 3. Fixes the day: what is reviewed is what runs."""
    _refuse_submitted(state)
    parameters, step = _configured(state)
    if problems := _window_problems(history_of(parameters, step), ground, as_of, "/lookback_config"):
        raise Refused("invalid", "the window has moved out of reach since it was set", problems=problems)
    window = window_of(parameters, step, as_of)
    return Reviewed(
        digest=digest_of(parameters, step, ground, as_of),
        as_of=as_of,
        window_start=window.start,
        window_end=window.end,
        segments=len(plan_segments(window, segmentation_of(step))),
        warnings=tuple(lookback_warnings(window, as_of)),
    )


def submit(
    state: Report, ground: Ground, digest: str, *, report_id: UUID, collection_id: UUID
) -> tuple[Submitted, CollectionCreated]:
    """Step 4. Refuses what was not reviewed as it now stands, and says what changed."""
    _refuse_submitted(state)
    parameters, step = _configured(state)
    reviewed = state.review
    if reviewed is None:
        raise Refused("not_reviewed", "post the review step first, then submit with its digest")
    current = digest_of(parameters, step, ground, reviewed.as_of)
    if state.changed_since_review or current != reviewed.digest or digest != reviewed.digest:
        changed = sorted(set(state.changed_since_review))
        if not changed:
            changed = ["workflow or instance"] if current != reviewed.digest else ["the digest names another review"]
        raise Refused(
            "not_reviewed",
            f"changed since the review: {', '.join(changed)}. Review it again, then submit with the new digest",
            extra={"changed": changed},
        )
    lookback = history_of(parameters, step)
    lane: Lane = "interactive" if isinstance(step, OnceStep) else "bulk"
    collection = plan_collection(
        name=state.name,
        report_id=report_id,
        instance_id=parameters.instance_id,
        lane=lane,
        workflow=ground.workflow,
        parameters=parameters.parameters,
        timezone=parameters.timezone,
        as_of=reviewed.as_of,
        lookback=lookback,
        segmentation=segmentation_of(step),
    )
    return Submitted(digest=reviewed.digest, collection_id=collection_id), collection


def digest_of(parameters: ParametersSet, step: ScheduleStep, ground: Ground, as_of: date) -> str:
    """SHA-256 over everything that decides what will run; equal digests run the same."""
    text = codec.encode([parameters, step, ground.workflow, ground.instance, as_of])
    return hashlib.sha256(text.encode()).hexdigest()


def window_of(parameters: ParametersSet, step: ScheduleStep, as_of: date) -> Window:
    """The window that will be fetched as of the day, inclusive at both ends."""
    return lookback_dates(history_of(parameters, step), as_of)


def history_of(parameters: ParametersSet, step: ScheduleStep) -> LookbackConfig:
    """The window that the submitted collection covers: the history's, or for `once` the run's."""
    return step.backfill_config.history if isinstance(step, BackfillStep) else parameters.lookback_config


def segmentation_of(step: ScheduleStep) -> SegmentationConfig | None:
    """How the collection is cut; None leaves it whole."""
    if isinstance(step, BackfillStep | BackfillWithScheduleStep):
        return step.backfill_config.segmentation_config
    return step.segmentation_config


def _configured(state: Report) -> tuple[ParametersSet, ScheduleStep]:
    missing = [name for name in ("parameters", "schedule") if getattr(state, name) is None]
    if state.parameters is None or state.schedule is None:
        raise Refused("step_missing", f"post these steps first: {', '.join(missing)}", extra={"missing": missing})
    return state.parameters, state.schedule.schedule


def _refuse_submitted(state: Report) -> None:
    if state.submission:
        raise Refused(
            "already_submitted",
            "copy the report to change it",
            extra={"collection_id": str(state.submission.collection_id)},
        )


def _pointer(parameter: str) -> str:
    """RFC 6901: `~` and `/` of a name are escaped."""
    return f"/parameters/{parameter.replace('~', '~0').replace('/', '~1')}"


def _window_problems(lookback: LookbackConfig, ground: Ground, as_of: date, at: str) -> list[Problem]:
    retention = ground.instance.retention_days
    if within_limit(lookback, as_of, retention):
        return []
    earliest = earliest_allowed(as_of, retention)
    return [Problem(at, f"the window must lie between {earliest}, the earliest day that AMC keeps, and {as_of}")]
