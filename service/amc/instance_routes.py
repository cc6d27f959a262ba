"""`/api/instances`: add AMC instances, change this service's limits towards them, and grant them to teams."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.configurations import ZoneName
from events.envelope import NewEvent, stream_of
from events.types.instance import InstanceAdded, InstanceChanged, InstanceGranted, InstanceGrantRevoked
from events.validation import Body, Problem
from service.amc.accounts import DEFAULT, Hold, load_account
from service.amc.holds import held_account, hold_in
from service.amc.instances import OwnedInstance, load_owned
from service.auth.caller import Caller, caller_of
from service.commands import Change, Commands, Decision
from service.endpoints import Answer, Endpoint, Position, Query, Recorded, read_query
from service.http import etag, json_response, name_cursor, page_of, read_name_cursor, refuse_stale, wait_position
from service.problems import Refused

Name = Annotated[str, Meta(min_length=1, max_length=200)]
# It becomes part of AMC's addresses, so it is never `..`; and `$` alone would let a line break pass.
AMC_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)"
AMC_ID = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=AMC_ID_PATTERN,
        extra={"expected": "AMC's id: letters, digits, dots, hyphens, underscores, a letter or digit first"},
    ),
]
TEAM_PATTERN = r"^[^/\x00-\x1f\x7f]+$(?!\n)"
TeamId = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=TEAM_PATTERN, extra={"expected": "a team's id, without a slash"})
]
Concurrent = Annotated[int, Meta(ge=1, le=1000)]
Retention = Annotated[int, Meta(ge=1, le=3650)]
FinalAfter = Annotated[int, Meta(ge=0, le=3650)]


class AddInstance(Body, frozen=True, kw_only=True):
    """An AMC instance, as Amazon names it, the account that it runs with, and this service's limits towards it."""

    instance_id: AMC_ID
    name: Name
    advertiser_id: AMC_ID
    marketplace_id: AMC_ID
    time_zone: ZoneName
    max_concurrent: Concurrent = 10
    retention_days: Retention = 425
    account_id: Annotated[str, Meta(min_length=1, max_length=100)] = DEFAULT
    final_after_days: FinalAfter = 14
    max_executions_per_day: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class ChangeInstance(Change, frozen=True, kw_only=True):
    """What is to change; what is left out stays. `max_executions_per_day` 0 takes the limit away."""

    name: Name | None = None
    max_concurrent: Concurrent | None = None
    retention_days: Retention | None = None
    final_after_days: FinalAfter | None = None
    max_executions_per_day: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class GrantInstance(Body, frozen=True, kw_only=True):
    """Another team that may see the instance and run on it."""

    team_id: TeamId


class RevokeGrant(Body, frozen=True, kw_only=True):
    """Takes a grant back; it takes nothing."""


class InstanceAddedAnswer(Recorded, frozen=True, kw_only=True):
    instance_id: str
    version: int


class FailingAnswer(Answer, frozen=True, kw_only=True):
    """AMC has failed on the instance lately, `failures` calls in a row, and what the last of them said. From some
    number on it is left alone until `resting_until`, and then tried with one call."""

    failures: int
    resting_until: datetime | None
    error: str


class InstanceAnswer(Answer, frozen=True, kw_only=True):
    """An AMC instance, and this service's limits towards it. `team_id` owns it; `granted_to` are the other teams
    that may run on it, told to the owner alone. `held_by` is why no work runs on it, and what to do. `in_flight`
    are the segments that hold one of its slots; `failing` is null where AMC answers as it should."""

    instance_id: str
    team_id: str
    name: str
    advertiser_id: str
    marketplace_id: str
    time_zone: str
    max_concurrent: int
    retention_days: int
    account_id: str
    final_after_days: int
    max_executions_per_day: int | None
    granted_to: list[str]
    held_by: Hold | None
    in_flight: int
    failing: FailingAnswer | None
    version: int
    created_at: datetime


class InstancePage(Answer, frozen=True, kw_only=True):
    """Instances by id; `next_cursor` leads on, null on the last page."""

    items: list[InstanceAnswer]
    next_cursor: str | None


class InstanceChangedAnswer(Recorded, frozen=True, kw_only=True):
    """What can be changed of an instance, as it stands now."""

    instance_id: str
    name: str
    max_concurrent: int
    retention_days: int
    final_after_days: int
    max_executions_per_day: int | None
    version: int


class GrantAnswer(Recorded, frozen=True, kw_only=True):
    """The grant that was given or taken back; `version` is the instance's."""

    instance_id: str
    team_id: str
    version: int


class ListInstances(Query, frozen=True, kw_only=True):
    """Which instances to list; `cursor` is a `next_cursor`."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


class ReadInstance(Query, frozen=True, kw_only=True):
    """A read that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


# $1 is the caller's team.
SELECT = f"""
SELECT i.*, {held_account("i.instance_id")} AS held_account,
       (SELECT count(*) FROM segment_leases l WHERE l.instance_id = i.instance_id AND l.holds_slot) AS in_flight,
       (SELECT json_build_object('failures', b.failures, 'resting_until', b.open_until, 'error', b.error)
          FROM amc_breakers b WHERE b.instance_id = i.instance_id) AS failing,
       CASE WHEN i.team_id = $1 THEN ARRAY(
         SELECT g.team_id FROM instance_grants g
          WHERE g.instance_id = i.instance_id AND g.revoked_at IS NULL ORDER BY g.team_id) ELSE '{{}}' END AS granted_to
  FROM amc_instances i
 WHERE (i.team_id = $1 OR i.instance_id IN (
         SELECT g.instance_id FROM instance_grants g WHERE g.team_id = $1 AND g.revoked_at IS NULL))
"""  # noqa: S608


def instance_routes(pool: Pool, commands: Commands) -> list[Endpoint]:
    """The routes over the log that `commands` appends to and the read models behind `pool`."""

    async def add(request: Request) -> Response:
        async def decide(body: AddInstance, caller: Caller) -> Decision:
            values = msgspec.structs.asdict(body)
            instance_id = values.pop("instance_id")
            if (await load_owned(pool, instance_id)).version:
                raise Refused("already_exists", f"the instance {instance_id} has been added before")
            await _refuse_account(pool, body.account_id, caller)
            write = _write(instance_id, OwnedInstance(), InstanceAdded(**values), caller)
            return Decision((write,), InstanceAddedAnswer(instance_id=instance_id, version=1), 201)

        return await commands.run(request, AddInstance, decide)

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListInstances)
        await wait_position(pool, query.min_position)
        rows = await pool.fetch(
            f"{SELECT} AND i.instance_id > $2 ORDER BY i.instance_id LIMIT $3",
            caller_of(request).team_id,
            read_name_cursor(query.cursor) if query.cursor else "",
            query.limit + 1,
        )
        return json_response(page_of(rows, query.limit, lambda row: name_cursor(row["instance_id"]), _shown))

    async def read(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadInstance).min_position)
        instance_id = _instance_id(request)
        row = await pool.fetchrow(f"{SELECT} AND i.instance_id = $2", caller_of(request).team_id, instance_id)
        if row is None:
            raise Refused("not_found", f"there is no instance {instance_id}")
        answer = _shown(row)
        return json_response(answer, headers=etag(answer.version))

    async def change(request: Request) -> Response:
        async def decide(body: ChangeInstance, caller: Caller) -> Decision:
            instance_id, owned, current = await _own(pool, request, caller)
            given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
            if "max_executions_per_day" in given:
                given["max_executions_per_day"] = given["max_executions_per_day"] or None
            stands = {name: getattr(current, name) for name in InstanceChanged.__struct_fields__}
            data = InstanceChanged(**(stands | given))
            answer = InstanceChangedAnswer(
                instance_id=instance_id, version=owned.version + 1, **msgspec.structs.asdict(data)
            )
            return Decision((_write(instance_id, owned, data, caller),), answer)

        return await commands.run(request, ChangeInstance, decide)

    async def grant(request: Request) -> Response:
        async def decide(body: GrantInstance, caller: Caller) -> Decision:
            instance_id, owned, _ = await _own(pool, request, caller)
            if body.team_id == owned.team_id:
                problem = Problem("/team_id", "owns the instance; name another team")
                raise Refused("invalid", f"/team_id: {problem.message}", problems=[problem])
            if body.team_id in owned.granted_to:
                raise Refused("already_exists", f"the instance is granted to {body.team_id} already")
            return _granted(instance_id, owned, InstanceGranted(body.team_id), caller, 201)

        return await commands.run(request, GrantInstance, decide)

    async def revoke(request: Request) -> Response:
        async def decide(body: RevokeGrant, caller: Caller) -> Decision:
            instance_id, owned, _ = await _own(pool, request, caller)
            team_id = request.path_params["team_id"]
            if team_id not in owned.granted_to:
                raise Refused("not_found", f"the instance {instance_id} is not granted to that team")
            return _granted(instance_id, owned, InstanceGrantRevoked(team_id), caller, 200)

        return await commands.run(request, RevokeGrant, decide)

    one = "/api/instances/{instance_id}"
    changes = ("not_found", "stale", "version_conflict")
    return [
        Endpoint(
            "POST",
            "/api/instances",
            add,
            summary="Add an AMC instance",
            body=AddInstance,
            answer=InstanceAddedAnswer,
            status=201,
            scope="admin",
            refusals=("already_exists",),
        ),
        Endpoint(
            "GET",
            "/api/instances",
            list_all,
            summary="List the AMC instances that the team may run on",
            query=ListInstances,
            answer=InstancePage,
            refusals=("projection_behind",),
        ),
        Endpoint(
            "GET",
            one,
            read,
            summary="Read an AMC instance",
            query=ReadInstance,
            answer=InstanceAnswer,
            refusals=("not_found", "projection_behind"),
        ),
        Endpoint(
            "PATCH",
            one,
            change,
            summary="Change an instance's name and limits",
            body=ChangeInstance,
            answer=InstanceChangedAnswer,
            scope="admin",
            refusals=changes,
        ),
        Endpoint(
            "POST",
            one + "/grants",
            grant,
            summary="Let another team run on an instance",
            body=GrantInstance,
            answer=GrantAnswer,
            status=201,
            scope="admin",
            refusals=("already_exists", *changes),
        ),
        Endpoint(
            "DELETE",
            one + "/grants/{team_id}",
            revoke,
            summary="Let another team run on an instance no more",
            body=RevokeGrant,
            answer=GrantAnswer,
            scope="admin",
            refusals=changes,
        ),
    ]


async def _refuse_account(pool: Pool, account_id: str, caller: Caller) -> None:
    account = await load_account(pool, account_id)
    if account_id == DEFAULT:
        return
    problem = None
    if not account.exists or account.team_id != caller.team_id:
        problem = Problem("/account_id", "there is no such account; connect it with POST /api/accounts")
    elif account.status == "disconnected":
        problem = Problem("/account_id", "the account is disconnected; connect it again, or name another")
    if problem is not None:
        raise Refused("invalid", f"/account_id: {problem.message}", problems=[problem])


async def _own(pool: Pool, request: Request, caller: Caller) -> tuple[str, OwnedInstance, InstanceAdded]:
    """The instance that the path names, if it is the caller's team's to change, at the version of `If-Match`."""
    instance_id = _instance_id(request)
    owned = await load_owned(pool, instance_id)
    if owned.current is None or not owned.lets(caller.team_id):
        raise Refused("not_found", f"there is no instance {instance_id}")
    if owned.team_id != caller.team_id:
        raise Refused("forbidden", "the instance is another team's, which alone may change it")
    refuse_stale(request, owned.version, "instance")
    return instance_id, owned, owned.current


def _instance_id(request: Request) -> str:
    text: str = request.path_params["instance_id"]
    if not re.search(AMC_ID_PATTERN, text):
        raise Refused("not_found", f"{text!r} is not an instance's id")
    return text


def _write(instance_id: str, owned: OwnedInstance, data: msgspec.Struct, caller: Caller) -> Write:
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id)
    return Write(stream_of("instance", instance_id), owned.version, (event,))


def _granted(
    instance_id: str, owned: OwnedInstance, data: InstanceGranted | InstanceGrantRevoked, caller: Caller, status: int
) -> Decision:
    answer = GrantAnswer(instance_id=instance_id, team_id=data.team_id, version=owned.version + 1)
    return Decision((_write(instance_id, owned, data, caller),), answer, status)


def _shown(row: Any) -> InstanceAnswer:
    fields = dict(row) | {"version": row["stream_version"], "held_by": hold_in(row["held_account"])}
    if row["failing"]:
        fields["failing"] = msgspec.json.decode(row["failing"], type=FailingAnswer)
    return InstanceAnswer(**{name: fields[name] for name in InstanceAnswer.__struct_fields__})
