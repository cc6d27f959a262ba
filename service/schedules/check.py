"""Whether a schedule can run as configured: every problem of it at once. Pure."""

from __future__ import annotations

from datetime import datetime

from events.configurations import ParametersStep, ParameterValues
from events.types.schedule import Configured
from service.builder.decide import checked_parameters, segmentation_problems, unsealed_problems
from service.builder.models import Ground
from service.data_collections.windows import today
from service.problems import Refused
from service.schedules.limits import limit_problems
from service.workflows.parameters import check_values


def cleaned(ground: Ground, values: ParameterValues) -> ParameterValues:
    """The values in the one spelling in which they are recorded; as they are where they do not fit, so that
    `refuse_unfit` names them."""
    found, problems = check_values(ground.workflow.parameters, values)
    return values if problems else found


def refuse_unfit(
    configured: Configured,
    workflow_id: str,
    ground: Ground,
    now: datetime,
    *,
    runs_done: int = 0,
    recorded: ParameterValues | None = None,
) -> None:
    """Refuses, with all problems, what the workflow and the instance do not allow, and what breaks the limits.

    `configured` has the values of parameters opened; `recorded` are those of a schedule that there is, as they are.
    Pointers are those of the bodies that create and change schedules.
    """
    step = ParametersStep(
        instance_id=configured.instance_id,
        workflow_id=workflow_id,
        lookback_config=configured.lookback_config,
        parameters=configured.parameters,
        timezone=configured.timezone,
    )
    _, problems = checked_parameters(ground, step, today(configured.timezone, now))
    problems += unsealed_problems(recorded or {}, ground)
    problems += segmentation_problems(configured.segmentation_config, ground, "/segmentation_config")
    known = {problem.pointer for problem in problems}
    problems += [
        problem
        for problem in limit_problems(
            configured.schedule_config,
            configured.lookback_config,
            configured.timezone,
            now,
            retention_days=ground.instance.retention_days,
            runs_done=runs_done,
        )
        if problem.pointer not in known
    ]
    if problems:
        raise Refused("invalid", "the schedule cannot run as configured", problems=problems)
