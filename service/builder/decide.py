"""What each step of a report records. Pure: the report, what it stands on, the command and the day go in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

import msgspec

from events import codec
from events.configurations import (
    BackfillStep,
    BackfillWithScheduleStep,
    LookbackConfig,
    ParametersStep,
    ParameterValues,
    ScheduledStep,
    ScheduleStep,
    SegmentationConfig,
)
from events.personal import all_stand_for, is_token
from events.types.collection import CollectionCreated
from events.types.report import ParametersSet, Reviewed, ScheduleSet
from events.types.schedule import ScheduleCreated
from events.validation import Problem
from service.builder.models import Ground, Report
from service.builder.preview import Preview, history_of, is_bulk, segmentation_of
from service.data_collections.choice import Skip
from service.data_collections.lookback import earliest_allowed, within_limit
from service.data_collections.plan import plan_collection
from service.data_collections.windows import Window
from service.problems import Refused
from service.schedules.limits import limit_problems
from service.schedules.plan import plan_schedule
from service.workflows.parameters import check_values


def set_parameters(ground: Ground, step: ParametersStep, as_of: date) -> ParametersSet:
    """Step 1. Raises Refused with every problem that the workflow and the instance have with it."""
    parameters, problems = checked_parameters(ground, step, as_of)
    if problems:
        raise Refused("invalid", "the parameters do not fit the workflow and the instance", problems=problems)
    return parameters


def checked_parameters(
    ground: Ground, step: ParametersStep, as_of: date, at: str = ""
) -> tuple[ParametersSet, list[Problem]]:
    """The step as it is recorded, and what is wrong with it; `at` is the step's own pointer."""
    values, problems = check_values(ground.workflow.parameters, step.parameters)
    problems = [Problem(f"{at}{problem.pointer}", problem.message) for problem in problems]
    problems += _window_problems(step.lookback_config, ground, as_of, f"{at}/lookback_config")
    parameters = ParametersSet(
        instance_id=step.instance_id,
        workflow_id=step.workflow_id,
        parameters=values,
        lookback_config=step.lookback_config,
        timezone=step.timezone or ground.instance.time_zone,
    )
    return parameters, problems


def set_schedule(
    parameters: ParametersSet, ground: Ground, step: ScheduleStep, as_of: date, now: datetime
) -> ScheduleSet:
    """Step 2. Raises Refused with every problem that the instance and the report's window have with it."""
    if problems := checked_schedule(parameters, ground, step, as_of, now):
        raise Refused("invalid", "the schedule does not fit the instance and the report", problems=problems)
    return ScheduleSet(schedule=step)


def set_both(
    ground: Ground, parameters: ParametersStep, schedule: ScheduleStep, as_of: date, now: datetime
) -> tuple[ParametersSet, ScheduleSet]:
    """The first two steps of one body, at `/parameters` and `/schedule`; refused with the problems of both."""
    data, problems = checked_parameters(ground, parameters, as_of, "/parameters")
    problems += checked_schedule(
        data, ground, schedule, as_of, now, "/schedule", lookback_at="/parameters/lookback_config"
    )
    if problems:
        raise Refused("invalid", "the configuration cannot run", problems=list(dict.fromkeys(problems)))
    return data, ScheduleSet(schedule=schedule)


def checked_schedule(
    parameters: ParametersSet,
    ground: Ground,
    step: ScheduleStep,
    as_of: date,
    now: datetime,
    at: str = "",
    lookback_at: str | None = None,
) -> list[Problem]:
    """What is wrong with the step. `at` is its own pointer, `lookback_at` that of the runs' window where that is
    in the same body; its problems stand at the schedule otherwise."""
    problems: list[Problem] = []
    if isinstance(step, ScheduledStep | BackfillWithScheduleStep):
        problems += limit_problems(
            step.schedule_config,
            parameters.lookback_config,
            parameters.timezone,
            now,
            retention_days=ground.instance.retention_days,
            schedule_at=f"{at}/schedule_config",
            lookback_at=lookback_at or f"{at}/schedule_config",
        )
    if isinstance(step, BackfillStep | BackfillWithScheduleStep):
        history, where = step.backfill_config.history, f"{at}/backfill_config"
        problems += _window_problems(history, ground, as_of, f"{where}/lookback_config")
        segmentation, where = step.backfill_config.segmentation_config, f"{where}/segmentation_config"
        return problems + segmentation_problems(segmentation, ground, where)
    return problems + segmentation_problems(step.segmentation_config, ground, f"{at}/segmentation_config")


def segmentation_problems(segmentation: SegmentationConfig | None, ground: Ground, at: str) -> list[Problem]:
    """What the instance cannot do."""
    if segmentation is None:
        return []
    problems = []
    limit = ground.instance.max_concurrent
    if segmentation.parallel_limit > limit:
        problems.append(Problem(f"{at}/parallel_limit", f"the instance runs {limit} at once; give at most that"))
    return problems


def refuse_unfit(
    parameters: ParametersSet, values: ParameterValues, ground: Ground, step: ScheduleStep, as_of: date, now: datetime
) -> None:
    """For step 3: raises Refused where time, the workflow or the instance have moved on since the first two. `values`
    are those of the parameters, opened."""
    _, problems = check_values(ground.workflow.parameters, values)
    problems = [
        *problems,
        *unsealed_problems(parameters.parameters, ground),
        *_window_problems(history_of(parameters, step), ground, as_of, "/lookback_config"),
    ]
    problems += checked_schedule(parameters, ground, step, as_of, now)
    if problems:
        raise Refused("invalid", "it does not fit any more; post the step again", problems=problems)


def unsealed_problems(values: ParameterValues, ground: Ground) -> list[Problem]:
    """Values that were recorded in the open, before their parameter was declared personal: to be given again."""
    return [
        Problem(f"/parameters/{declared.name}", "is personal now, and was not when it was given; give it again")
        for declared in ground.workflow.parameters
        if declared.personal and declared.name in values and not is_token(values[declared.name])
    ]


def reviewed(digest: str, shown: Preview) -> Reviewed:
    """Step 3. Records what was shown, and fixes the day: what is reviewed is what runs."""
    return Reviewed(
        digest=digest,
        as_of=shown.as_of,
        window_start=shown.window.start,
        window_end=shown.window.end,
        segments=len(shown.segments),
        warnings=tuple(warning.code for warning in shown.warnings),
    )


def reviewed_day(state: Report) -> date:
    """The day that the review has fixed; refused where a step before submit is missing."""
    configured(state)
    if state.review is None:
        raise Refused("not_reviewed", "post the review step first, then submit with its digest")
    return state.review.as_of


def refuse_unreviewed(state: Report, ground: Ground, digest: str) -> None:
    """Raises Refused where the digest is not that of a review of what stands now; it says what changed."""
    parameters, step = configured(state)
    current = digest_of(parameters, step, ground, reviewed_day(state))
    reviewed = state.review
    assert reviewed is not None
    if state.changed_since_review or current != reviewed.digest or digest != reviewed.digest:
        changed = sorted(set(state.changed_since_review))
        if not changed:
            changed = ["workflow or instance"] if current != reviewed.digest else ["the digest names another review"]
        raise Refused(
            "not_reviewed",
            f"changed since the review: {', '.join(changed)}. Review it again, then submit with the new digest",
            extra={"changed": changed},
        )


def collection_of(
    state: Report,
    ground: Ground,
    *,
    report_id: UUID,
    key: str,
    skips: Mapping[Window, Skip],
    sql_checked: bool,
    schedule_id: UUID | None,
) -> CollectionCreated:
    """Step 4: the collection that is set to work at once. `key` is its content key, `skips` its segments that are
    not run, `schedule_id` the schedule whose history it is. `sql_checked`: AMC has taken the SQL before."""
    parameters, step = configured(state)
    assert state.review is not None
    return plan_collection(
        name=state.name,
        report_id=report_id,
        instance_id=parameters.instance_id,
        lane="bulk" if is_bulk(step) else "interactive",
        workflow=ground.workflow,
        parameters=parameters.parameters,
        timezone=parameters.timezone,
        as_of=state.review.as_of,
        lookback=history_of(parameters, step),
        segmentation=segmentation_of(step),
        backfill_of_schedule=schedule_id,
        content_key=key,
        skips=skips,
        sql_checked=sql_checked,
    )


def schedule_of(
    state: Report,
    ground: Ground,
    *,
    report_id: UUID,
    schedule_id: UUID,
    collection_id: UUID | None,
    now: datetime,
) -> ScheduleCreated:
    """Step 4: the schedule that goes on from here. It counts from `now`."""
    parameters, step = configured(state)
    assert isinstance(step, ScheduledStep | BackfillWithScheduleStep)
    return plan_schedule(
        schedule_id=schedule_id,
        name=state.name,
        report_id=report_id,
        instance_id=parameters.instance_id,
        workflow=ground.workflow,
        parameters=parameters.parameters,
        timezone=parameters.timezone,
        lookback=parameters.lookback_config,
        schedule=step.schedule_config,
        segmentation=step.segmentation_config if isinstance(step, ScheduledStep) else None,
        counts_from=now,
        backfill_collection_id=collection_id,
        hold=isinstance(step, BackfillWithScheduleStep) and step.backfill_config.hold_schedule,
    )


def digest_of(parameters: ParametersSet, step: ScheduleStep, ground: Ground, as_of: date) -> str:
    """SHA-256 over everything that decides what will run; equal digests run the same."""
    instance = ground.instance
    text = codec.encode(
        [
            msgspec.structs.replace(parameters, parameters=all_stand_for(parameters.parameters)),
            step,
            ground.workflow.sql_query,
            ground.workflow.parameters,
            [instance.account_id, instance.advertiser_id, instance.marketplace_id, instance.time_zone],
            as_of,
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def configured(state: Report) -> tuple[ParametersSet, ScheduleStep]:
    """The first two steps; refused where one is missing."""
    missing = [name for name in ("parameters", "schedule") if getattr(state, name) is None]
    if state.parameters is None or state.schedule is None:
        raise Refused("step_missing", f"post these steps first: {', '.join(missing)}", extra={"missing": missing})
    return state.parameters, state.schedule.schedule


def refuse_submitted(state: Report) -> None:
    if state.submission:
        submitted = {
            name: str(id)
            for name in ("collection_id", "schedule_id")
            if (id := getattr(state.submission, name)) is not None
        }
        raise Refused("already_submitted", "copy the report to change it", extra=submitted)


def _window_problems(lookback: LookbackConfig, ground: Ground, as_of: date, at: str) -> list[Problem]:
    retention = ground.instance.retention_days
    if within_limit(lookback, as_of, retention):
        return []
    earliest = earliest_allowed(as_of, retention)
    return [Problem(at, f"the window must lie between {earliest}, the earliest day that AMC keeps, and {as_of}")]
