"""`/api/persons`: who there is, legal holds, and erasure; for administrators."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.envelope import SYSTEM, Metadata, NewEvent, stream_of
from events.reader import read_stream
from service.auth.caller import Caller
from service.commands import Commands, Decision, WithReason
from service.endpoints import Endpoint, path_id, read_query
from service.http import etag, json_response, name_cursor, page_of, read_name_cursor, refuse_stale
from service.persons import state as persons
from service.persons.copies import COPIES
from service.persons.erasing import Erasing
from service.persons.models import (
    ListPersons,
    PersonAnswer,
    PersonErased,
    PersonItem,
    PersonMoved,
    PersonPage,
    PlaceHold,
)
from service.persons.state import Person, person_of
from service.problems import Refused

COLUMNS = ", ".join(PersonItem.__struct_fields__)
HOLD_REFUSALS = ("not_found", "stale", "version_conflict", "hold_state")


def person_routes(pool: Pool, commands: Commands, erasing: Erasing) -> list[Endpoint]:
    """The routes over the table `users` and the log behind `pool`."""

    async def load(request: Request) -> tuple[UUID, Person, asyncpg.Record | None]:
        """The person that the path names, at the version that `If-Match` asks for, and their row of `users`: None where
        they are erased."""
        user_id = path_id(request, "user_id", "person")
        # Both as of one moment: an erasure changes both.
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            row = await connection.fetchrow(f"SELECT {COLUMNS} FROM users WHERE user_id = $1", user_id)  # noqa: S608
            state = person_of(await read_stream(connection, stream_of("person", user_id)))
        if row is None and state.version == 0:
            raise Refused("not_found", f"there is no person {user_id}")
        refuse_stale(request, state.version, "person")
        return user_id, state, row

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListPersons)
        conditions, values = ["true"], list[Any]()
        if query.search is not None:
            values.append(query.search)
            conditions.append("strpos(lower(concat_ws(E'\\n', name, email, subject)), lower($1)) > 0")
        if query.cursor is not None:
            values.append(_read_cursor(query.cursor))
            conditions.append(f"user_id > ${len(values)}")
        rows = await pool.fetch(
            f"SELECT {COLUMNS} FROM users WHERE {' AND '.join(conditions)} ORDER BY user_id LIMIT {query.limit + 1}",  # noqa: S608
            *values,
        )
        return json_response(page_of(rows, query.limit, lambda row: name_cursor(str(row["user_id"]))))

    async def read(request: Request) -> Response:
        user_id, state, row = await load(request)
        known = dict(row) if row else dict.fromkeys(PersonItem.__struct_fields__) | {"user_id": user_id}
        answer = PersonAnswer(**known, **msgspec.structs.asdict(state))
        return json_response(answer, headers=etag(state.version))

    async def place_hold(request: Request) -> Response:
        async def decide(body: PlaceHold, caller: Caller) -> Decision:
            user_id, state, row = await load(request)
            if row is None:
                raise Refused("not_found", f"the person {user_id} is erased; there is nothing to hold")
            return _decision(user_id, state, persons.place_hold(state, body.reason), caller)

        return await commands.run(request, PlaceHold, decide)

    async def lift_hold(request: Request) -> Response:
        async def decide(body: WithReason, caller: Caller) -> Decision:
            user_id, state, _ = await load(request)
            return _decision(user_id, state, persons.lift_hold(state, body.reason), caller)

        return await commands.run(request, WithReason, decide)

    async def erase(request: Request) -> Response:
        async def decide(body: WithReason, caller: Caller) -> Decision:
            user_id, state, row = await load(request)
            decided = _decision(user_id, state, persons.erase(state, body.reason), caller)
            if row is None:  # there is nothing left of them
                decided = Decision((), PersonMoved(user_id=user_id, version=state.version))
            answer = PersonErased(**msgspec.structs.asdict(decided.answer), copies=COPIES)
            return msgspec.structs.replace(decided, answer=answer)

        user_id = path_id(request, "user_id", "person")
        return await commands.run(request, WithReason, decide, append=partial(erasing.erase, user_id))

    one = "/api/persons/{user_id}"
    return [
        Endpoint(
            "GET",
            "/api/persons",
            list_all,
            summary="List persons, or find one",
            query=ListPersons,
            answer=PersonPage,
            scope="admin",
        ),
        Endpoint(
            "GET",
            one,
            read,
            summary="Read who a person is, and what was done about them",
            answer=PersonAnswer,
            scope="admin",
            refusals=("not_found", "stale"),
        ),
        Endpoint(
            "POST",
            f"{one}/place-hold",
            place_hold,
            summary="Forbid that a person is erased (legal hold)",
            body=PlaceHold,
            answer=PersonMoved,
            scope="admin",
            refusals=HOLD_REFUSALS,
        ),
        Endpoint(
            "POST",
            f"{one}/lift-hold",
            lift_hold,
            summary="Lift a legal hold",
            body=WithReason,
            answer=PersonMoved,
            scope="admin",
            refusals=HOLD_REFUSALS,
        ),
        Endpoint(
            "POST",
            f"{one}/erase",
            erase,
            summary="Erase a person: what they are called, and all that they wrote",
            body=WithReason,
            answer=PersonErased,
            scope="admin",
            refusals=("not_found", "stale", "version_conflict", "legal_hold"),
        ),
    ]


def _decision(user_id: UUID, state: Person, data: msgspec.Struct, caller: Caller) -> Decision:
    """The command's event at the version that was read. It is no team's: a person may be in many."""
    event = NewEvent(data=data, team_id=SYSTEM, user_id=caller.user_id, metadata=Metadata(correlation_id=str(user_id)))
    write = Write(stream_of("person", user_id), state.version or "none", (event,))
    return Decision((write,), PersonMoved(user_id=user_id, version=state.version + 1))


def _read_cursor(text: str) -> UUID:
    try:
        return UUID(read_name_cursor(text))
    except ValueError:
        raise Refused("bad_request", "cursor is not one that a list has answered") from None
