"""What the builder's decisions stand on, read from the log and the tables."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

from starlette.requests import Request

from db.pool import Pool
from events.configurations import ScheduleStep
from events.envelope import stream_of
from events.types.report import ParametersSet
from events.validation import Problem
from service.amc.instances import INSTANCES
from service.auth.caller import Caller
from service.builder.history import segment_history
from service.builder.models import REPORTS, Ground, Report
from service.builder.preview import Facts, collected_window
from service.clock import Clock
from service.data_collections.lookback import earliest_allowed
from service.data_collections.plan import content_key
from service.data_collections.reuse import load_past
from service.data_collections.windows import Window
from service.endpoints import path_id
from service.footing import Footing
from service.http import refuse_stale
from service.problems import Refused
from service.workflows.inspect import inspect_sql
from service.workflows.state import WORKFLOWS


async def load_report(footing: Footing, request: Request, caller: Caller) -> tuple[UUID, Report]:
    """The report that the path names, of the caller's team, at the version that `If-Match` asks for."""
    report_id = path_id(request, "report_id", "report")
    state = await footing.load(REPORTS, report_id)
    if state is None or state.team_id != caller.team_id:
        raise Refused("not_found", f"there is no report {report_id}")
    refuse_stale(request, state.version, "report")
    return report_id, state


async def load_ground(footing: Footing, workflow_id: str, instance_id: str, caller: Caller, at: str = "") -> Ground:
    """The workflow and the instance as they stand now; refused, below the pointer `at`, where one is missing."""
    problems = []
    await footing.look_up(stream_of("workflow", workflow_id), stream_of("instance", instance_id))
    workflow = await footing.load(WORKFLOWS, workflow_id)
    if workflow is None or workflow.team_id != caller.team_id:
        problems.append(Problem(f"{at}/workflow_id", "there is no such workflow; create it with POST /api/workflows"))
    elif workflow.archived:
        problems.append(Problem(f"{at}/workflow_id", "the workflow is archived; unarchive it, or take another"))
    owned = await footing.load(INSTANCES, instance_id)
    instance = owned.current if owned is not None and owned.lets(caller.team_id) else None
    if instance is None:
        problems.append(Problem(f"{at}/instance_id", "there is no such instance; add it with POST /api/instances"))
    if problems:
        raise Refused("invalid", "the report names what cannot be used", problems=problems)
    assert workflow is not None
    assert instance is not None
    return Ground(workflow.content, instance)


async def standing(footing: Footing, state: Report, caller: Caller) -> tuple[ParametersSet, Ground]:
    """The parameters that were set, and what they name as it stands now."""
    if state.parameters is None:
        raise Refused("step_missing", "post the parameters step first", extra={"missing": ["parameters"]})
    parameters = state.parameters
    return parameters, await load_ground(footing, parameters.workflow_id, parameters.instance_id, caller)


async def gather_facts(
    pool: Pool, caller: Caller, parameters: ParametersSet, step: ScheduleStep, ground: Ground, as_of: date
) -> Facts:
    """What is known about a configuration: segments that are there, how long others took, what its SQL does."""
    history = await segment_history(pool, parameters.instance_id, caller.team_id)
    # In a thread: parsing long SQL takes seconds.
    inspection = await asyncio.to_thread(inspect_sql, ground.workflow.sql_query)
    key = content_key(
        parameters.instance_id, ground.instance, ground.workflow, parameters.parameters, parameters.timezone
    )
    window = collected_window(parameters, step, as_of)
    past = await load_past(pool, caller.team_id, key, parameters.timezone, window)
    return Facts(key, past, history, inspection)


def read_as_of(given: date | None, zone: str, clock: Clock) -> date:
    """The day that windows are counted from: today in the zone unless an earlier one is given."""
    day = clock.today(zone)
    if given is None:
        return day
    if given > day:
        problem = Problem("/as_of", f"is later than {day}, which is today in {zone}; give that or leave it out")
        raise Refused("invalid", "as_of has not come yet", problems=[problem])
    return given


def refuse_lost_days(window: Window, zone: str, clock: Clock, ground: Ground) -> None:
    """To be asked before something runs: as of an earlier day a window may hold days that AMC has no more."""
    earliest = earliest_allowed(clock.today(zone), ground.instance.retention_days)
    if window.start < earliest:
        problem = Problem("/as_of", f"counts back to {window.start}; the earliest day that AMC still has is {earliest}")
        raise Refused("invalid", "as_of is too long ago to run", problems=[problem])
