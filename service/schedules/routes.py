"""`/api/schedules`: set schedules to work, follow their runs, pause, resume, change, run and end them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.envelope import new_id
from events.reader import read_head
from events.types.schedule import Configured, Resumed, RunStarted
from service.auth.caller import Caller, caller_of
from service.builder.ground import load_ground
from service.clock import Clock
from service.commands import Commands, Decision, WithReason
from service.endpoints import Endpoint, path_id, read_query
from service.footing import footing_of
from service.http import etag, json_response, keeping_json, newest, page_of, read_cursor, refuse_stale, wait_position
from service.persons.texts import PersonalTexts
from service.problems import Refused
from service.results.read import MEDIA_TYPES
from service.results.routes import REFUSALS, TABLE_HEADERS, collection_table
from service.results.store import ResultStore
from service.schedules import decide
from service.schedules.check import cleaned, refuse_unfit
from service.schedules.equip import equip
from service.schedules.models import (
    ChangeSchedule,
    CreateSchedule,
    ListRuns,
    ListSchedules,
    ReadLatest,
    ReadSchedule,
    RunAnswer,
    RunNow,
    RunPage,
    RunStartedNow,
    ScheduleAnswer,
    ScheduleChanged,
    ScheduleMoved,
    SchedulePage,
    ScheduleSetUp,
    ScheduleSummary,
)
from service.schedules.plan import fingerprint_of, plan_schedule
from service.schedules.preview import RunWindow, next_windows
from service.schedules.read import read_schedules
from service.schedules.state import Schedule
from service.schedules.words import sentences, upcoming
from service.schedules.writes import created_writes, moved_writes
from service.teams.limits import Teams

SHOWN_RUNS = 3
SHOWN_UPCOMING = 5

COLUMNS = ", ".join(
    "stream_version AS version" if name == "version" else name
    for name in ScheduleSummary.__struct_fields__
    if name != "last_run"
)
JSON_COLUMNS = ("schedule_config", "lookback_config", "segmentation_config", "parameters", "declared_parameters")
RUN_COLUMNS = ", ".join(
    ("c." if name in ("backfill_status", "window_start", "window_end", "row_count", "finished_at") else "r.") + name
    for name in RunAnswer.__struct_fields__
)


def schedule_routes(
    pool: Pool, commands: Commands, teams: Teams, store: ResultStore, clock: Clock, texts: PersonalTexts
) -> list[Endpoint]:
    """The routes over the read models behind `pool`; what `commands` append is decided at `clock`'s now."""

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListSchedules)
        await wait_position(pool, query.min_position)
        conditions, values = _filters(query, caller_of(request))
        rows = await pool.fetch(
            f"SELECT {COLUMNS} FROM workflow_schedules WHERE {' AND '.join(conditions)}"  # noqa: S608
            f" ORDER BY created_at DESC, schedule_id DESC LIMIT {query.limit + 1}",
            *values,
        )
        runs = await _last_runs(pool, rows)
        return json_response(
            page_of(rows, query.limit, newest("created_at", "schedule_id"), lambda row: _shown(row, runs))
        )

    async def read(request: Request) -> Response:
        query = read_query(request, ReadSchedule)
        row = await _find(pool, request, query.min_position)
        schedule = await _load(pool, row["schedule_id"], caller_of(request))
        after = max(clock.now(), schedule.handled)
        config, spec = schedule.configured, schedule.spec
        counted = schedule.run_count + (schedule.waiting is not None)
        answer = {
            **_shown(row, await _last_runs(pool, [row])),
            "sql_query": config.sql_query,
            "declared_parameters": config.declared_parameters,
            "sentences": sentences(spec, config.timezone),
            "upcoming": () if schedule.status == "ended" else upcoming(spec, after, SHOWN_UPCOMING, counted),
        }
        return json_response(answer, headers=etag(row["version"]))

    async def create(request: Request) -> Response:
        async def decide_create(body: CreateSchedule, caller: Caller) -> Decision:
            ground = await load_ground(footing_of(request), body.workflow_id, body.instance_id, caller)
            now, schedule_id, event_id = clock.now(), new_id(), new_id()
            readable = plan_schedule(
                schedule_id=schedule_id,
                name=body.name,
                report_id=None,
                instance_id=body.instance_id,
                workflow=ground.workflow,
                parameters=cleaned(ground, body.parameters),
                timezone=body.timezone or ground.instance.time_zone,
                lookback=body.lookback_config,
                schedule=body.schedule_config,
                segmentation=body.segmentation_config,
                counts_from=now,
            )
            refuse_unfit(readable, body.workflow_id, ground, now)
            created = msgspec.structs.replace(
                readable,
                parameters=await texts.seal_values(
                    ground.workflow.parameters, readable.parameters, caller.user_id, event_id
                ),
            )
            spec = decide.spec_of(created)
            answer = ScheduleSetUp(
                schedule_id=schedule_id,
                version=1,
                status="active",
                next_run_at=created.next_due,
                upcoming=next_windows(spec, created.lookback_config, created.timezone, now, SHOWN_RUNS),
            )
            writes = created_writes(
                schedule_id,
                created,
                team_id=caller.team_id,
                user_id=caller.user_id,
                workflow_id=body.workflow_id,
                event_id=event_id,
            )
            counted = await teams.admit(caller, schedule=schedule_id, fingerprint=fingerprint_of(created))
            return Decision((*writes, *counted), answer, 201)

        return await commands.run(request, CreateSchedule, decide_create)

    async def change(request: Request) -> Response:
        async def decide_change(body: ChangeSchedule, caller: Caller) -> Decision:
            schedule = await _commanded(pool, request, caller)
            given = {name: value for name, value in asdict(body).items() if value is not None}
            reason, workflow_id = given.pop("reason", None), given.pop("workflow_id", None)
            if not given and workflow_id is None:
                raise Refused("bad_request", "there is nothing to change; give at least one field beside reason")
            named = workflow_id or schedule.workflow_id
            ground = await load_ground(footing_of(request), named, schedule.configured.instance_id, caller)
            before = schedule.configured
            workflow = msgspec.structs.replace(
                ground.workflow, sql_query=before.sql_query, parameters=before.declared_parameters
            )
            if workflow_id is None:
                ground = msgspec.structs.replace(ground, workflow=workflow)
            event_id = new_id()
            if "parameters" in given:
                values = cleaned(ground, given["parameters"])
                given["parameters"] = await texts.seal_values(
                    ground.workflow.parameters, values, caller.user_id, event_id
                )
            else:
                values = await texts.open_values(before.parameters)
            configured = msgspec.structs.replace(
                before,
                **given,
                sql_query=ground.workflow.sql_query,
                declared_parameters=ground.workflow.parameters,
            )
            now, counted = clock.now(), schedule.run_count + (schedule.waiting is not None)
            move = decide.change(schedule, configured, now, reason)
            readable = msgspec.structs.replace(configured, parameters=values)
            refuse_unfit(readable, named, ground, now, runs_done=counted, recorded=configured.parameters)
            answer = ScheduleChanged(
                **asdict(_moved(schedule, move)),
                before=_next(before, now, counted),
                after=_next(configured, now, counted),
            )
            writes = moved_writes(schedule, move, user_id=caller.user_id, workflow_id=named, changed_id=event_id)
            if schedule.status == "active":
                # It counts as before, for what it does from now on.
                writes += await teams.admit(
                    caller, schedule=schedule.schedule_id, fingerprint=fingerprint_of(configured)
                )
            return Decision(writes, answer)

        return await commands.run(request, ChangeSchedule, decide_change)

    async def run_now(request: Request) -> Response:
        async def decide_run(body: RunNow, caller: Caller) -> Decision:
            schedule = await _commanded(pool, request, caller)
            move = await equip(pool, schedule, decide.run_now(schedule, clock.now()))
            (started,) = move.events
            assert isinstance(started, RunStarted)
            answer = RunStartedNow(
                **asdict(_moved(schedule, move)), run_id=started.run_id, collection_id=started.collection_id
            )
            return Decision(moved_writes(schedule, move, user_id=caller.user_id), answer, 202)

        return await commands.run(request, RunNow, decide_run)

    def command(decided: Callable[[Schedule, str | None], decide.Move]) -> Callable[[Request], Any]:
        """A command that takes a reason and nothing else."""

        async def run(request: Request) -> Response:
            async def decide_command(body: WithReason, caller: Caller) -> Decision:
                schedule = await _commanded(pool, request, caller)
                move = await equip(pool, schedule, decided(schedule, body.reason))
                writes = moved_writes(schedule, move, user_id=caller.user_id)
                if isinstance(move.events[0], Resumed):
                    fingerprint = fingerprint_of(schedule.configured)
                    writes += await teams.admit(caller, schedule=schedule.schedule_id, fingerprint=fingerprint)
                return Decision(writes, _moved(schedule, move))

            return await commands.run(request, WithReason, decide_command)

        return run

    async def runs(request: Request) -> Response:
        query = read_query(request, ListRuns)
        schedule = await _find(pool, request, query.min_position)
        conditions, values = ["r.schedule_id = $1"], [schedule["schedule_id"]]
        if query.status:
            values.append(query.status)
            conditions.append(f"r.status = ${len(values)}")
        if query.cursor:
            values += read_cursor(query.cursor)
            conditions.append(f"(r.instant, r.run_id) < (${len(values) - 1}, ${len(values)})")
        rows = await pool.fetch(
            f"SELECT {RUN_COLUMNS} FROM schedule_runs r"  # noqa: S608
            " LEFT JOIN report_data_collections c ON c.collection_id = r.collection_id"
            f" WHERE {' AND '.join(conditions)} ORDER BY r.instant DESC, r.run_id DESC LIMIT {query.limit + 1}",
            *values,
        )
        return json_response(page_of(rows, query.limit, newest("instant", "run_id")))

    async def latest(request: Request) -> Response:
        query = read_query(request, ReadLatest)
        schedule = await _find(pool, request, query.min_position)
        row = await pool.fetchrow(
            "SELECT r.run_id, r.nominal, c.collection_id, c.segments_total FROM schedule_runs r"
            " JOIN report_data_collections c ON c.collection_id = r.collection_id"
            " WHERE r.schedule_id = $1 AND c.backfill_status = 'completed'"
            " ORDER BY r.instant DESC, r.run_id DESC LIMIT 1",
            schedule["schedule_id"],
        )
        if row is None:
            raise Refused("not_found", "no run of the schedule is complete yet; GET its runs to see where they are")
        return await collection_table(
            pool,
            store,
            row["collection_id"],
            row["segments_total"],
            query.format,
            {"Report-Run": f"run_id={row['run_id']}, nominal={row['nominal']:%Y-%m-%dT%H:%M}"},
        )

    one = "/api/schedules/{schedule_id}"
    refusals = ("not_found", "stale", "schedule_state", "version_conflict", "projection_behind")
    counted = ("too_many_schedules", "duplicate_schedule")
    sealed = ("no_secret_key", "person_erased")
    reads = ("not_found", "projection_behind")
    return [
        Endpoint("GET", "/api/schedules", list_all, summary="List the team's schedules", query=ListSchedules,
                 answer=SchedulePage, refusals=("projection_behind",)),
        Endpoint("POST", "/api/schedules", create, summary="Set a schedule to work", body=CreateSchedule,
                 answer=ScheduleSetUp, status=201, scope="schedules:write", refusals=(*sealed, *counted)),
        Endpoint("GET", one, read, summary="Read a schedule and what it does next", query=ReadSchedule,
                 answer=ScheduleAnswer, refusals=reads),
        Endpoint("PATCH", one, change, summary="Change a schedule from its next run on", body=ChangeSchedule,
                 answer=ScheduleChanged, scope="schedules:write",
                 refusals=("personal_values_erased", *counted, *refusals)),
        Endpoint("GET", one + "/runs", runs, summary="List what became of a schedule's runs", query=ListRuns,
                 answer=RunPage, refusals=reads),
        Endpoint("POST", one + "/hold",
                 command(lambda schedule, reason: decide.hold(schedule, clock.now(), reason)),
                 summary="Let a schedule wait for its backfill", body=WithReason, answer=ScheduleMoved,
                 scope="schedules:write", refusals=refusals),
        Endpoint("POST", one + "/release",
                 command(lambda schedule, reason: decide.let_go(schedule, clock.now(), reason)),
                 summary="Let a schedule wait for its backfill no more", body=WithReason, answer=ScheduleMoved,
                 scope="schedules:write", refusals=refusals),
        Endpoint("POST", one + "/pause", command(decide.pause), summary="Pause a schedule", body=WithReason,
                 answer=ScheduleMoved, scope="schedules:write", refusals=refusals),
        Endpoint("POST", one + "/resume", command(decide.resume), summary="Let a paused schedule go on",
                 body=WithReason, answer=ScheduleMoved, scope="schedules:write", refusals=(*counted, *refusals)),
        Endpoint("POST", one + "/run-now", run_now, summary="Start a run at once", body=RunNow, answer=RunStartedNow,
                 status=202, scope="schedules:write", refusals=("out_of_reach", *refusals)),
        Endpoint("POST", one + "/end", command(lambda schedule, reason: decide.end(schedule, clock.now(), reason)),
                 summary="End a schedule for good", body=WithReason, answer=ScheduleMoved, scope="schedules:write",
                 refusals=refusals),
        Endpoint("GET", one + "/results/latest", latest, summary="Download the newest complete run as one table",
                 query=ReadLatest, answer=tuple(MEDIA_TYPES.values()),
                 answer_headers=TABLE_HEADERS | {"Report-Run": "Which run it is: `run_id=R, nominal=T`."},
                 refusals=tuple(dict.fromkeys((*reads, *REFUSALS)))),
    ]  # fmt: skip


async def _find(pool: Pool, request: Request, min_position: int) -> asyncpg.Record:
    """The row of the schedule that the path names, if it is the caller's team's; waits for the position first."""
    await wait_position(pool, min_position)
    schedule_id = path_id(request, "schedule_id", "schedule")
    row = await pool.fetchrow(
        f"SELECT {COLUMNS} FROM workflow_schedules WHERE schedule_id = $1 AND team_id = $2",  # noqa: S608
        schedule_id,
        caller_of(request).team_id,
    )
    if row is None:
        raise _unknown(schedule_id)
    return row


async def _load(pool: Pool, schedule_id: UUID, caller: Caller) -> Schedule:
    found = await read_schedules(pool, "s.schedule_id = $1 AND s.team_id = $2", schedule_id, caller.team_id)
    if not found:
        raise _unknown(schedule_id)
    return found[0]


async def _commanded(pool: Pool, request: Request, caller: Caller) -> Schedule:
    """The schedule that a command is about, as of the log's end, at a version that `If-Match` accepts."""
    schedule_id = path_id(request, "schedule_id", "schedule")
    await wait_position(pool, await read_head(pool))
    schedule = await _load(pool, schedule_id, caller)
    refuse_stale(request, schedule.version, "schedule")
    return schedule


def _unknown(schedule_id: UUID) -> Refused:
    return Refused(
        "not_found",
        f"there is no schedule {schedule_id}; one set to work just now shows with ?min_position= and the position"
        " that was answered",
    )


def _moved(schedule: Schedule, move: decide.Move) -> ScheduleMoved:
    """Where the schedule stands after the move."""
    last: Any = move.events[-1]
    return ScheduleMoved(
        schedule_id=schedule.schedule_id,
        version=schedule.version + len(move.events),
        status=decide.status_after(schedule, move),
        next_run_at=last.next_due,
    )


def _next(configured: Configured, now: Any, counted: int) -> list[RunWindow]:
    spec = decide.spec_of(configured)
    return next_windows(spec, configured.lookback_config, configured.timezone, now, SHOWN_RUNS, counted)


def _shown(row: asyncpg.Record, last_runs: Mapping[UUID, RunAnswer]) -> dict[str, Any]:
    """The row as callers see it."""
    return keeping_json(row, *JSON_COLUMNS) | {"last_run": last_runs.get(row["schedule_id"])}


async def _last_runs(pool: Pool, schedules: Sequence[asyncpg.Record]) -> dict[UUID, RunAnswer]:
    """The newest run of each of them that has one."""
    rows = await pool.fetch(
        f"SELECT r.schedule_id, {RUN_COLUMNS} FROM unnest($1::uuid[]) AS s (schedule_id)"  # noqa: S608
        " CROSS JOIN LATERAL (SELECT * FROM schedule_runs WHERE schedule_id = s.schedule_id"
        " ORDER BY instant DESC, run_id DESC LIMIT 1) r"
        " LEFT JOIN report_data_collections c ON c.collection_id = r.collection_id",
        [row["schedule_id"] for row in schedules],
    )
    return {row["schedule_id"]: RunAnswer(**{name: row[name] for name in RunAnswer.__struct_fields__}) for row in rows}


def _filters(query: ListSchedules, caller: Caller) -> tuple[list[str], list[Any]]:
    """Conditions and their values; that of the frequency is a containment test, which the GIN index answers."""
    conditions: list[str] = ["team_id = $1"]
    values: list[Any] = [caller.team_id]
    for name in ("status", "backfill_status", "instance_id", "workflow_id", "report_id"):
        if (value := getattr(query, name)) is not None:
            values.append(value)
            conditions.append(f"{name} = ${len(values)}")
    if query.search:
        values.append(query.search)
        conditions.append(f"strpos(lower(name), lower(${len(values)})) > 0")
    if query.frequency:
        values.append(msgspec.json.encode({"frequency": query.frequency}).decode())
        conditions.append(f"schedule_config @> ${len(values)}::jsonb")
    if query.cursor:
        values += read_cursor(query.cursor)
        conditions.append(f"(created_at, schedule_id) < (${len(values) - 1}, ${len(values)})")
    return conditions, values
