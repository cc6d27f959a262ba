"""`/api/data-collections/{id}` while it runs: pause, resume, cancel, change, move to the front, run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.envelope import Metadata, NewEvent, stream_of
from events.reader import read_head, read_stream
from events.types.collection import CollectionCancelled
from events.types.segment import Resumed, Retried, Split
from events.validation import Body, Problem
from projections.backfills import Stall
from service.amc.instances import load_instance
from service.auth.caller import Caller
from service.commands import Commands, Decision, WithReason
from service.data_collections import state as collections
from service.data_collections.models import (
    ChangeCollection,
    CollectionMoved,
    CollectionRetriedAnswer,
    RetrySegments,
    SplitSegment,
    ToFront,
)
from service.data_collections.state import Collection, collection_of
from service.endpoints import Endpoint, Handler, Recorded, path_id
from service.http import refuse_stale, wait_position
from service.problems import Refused
from service.teams.limits import Teams, backfill_ended


def control_routes(pool: Pool, commands: Commands, teams: Teams) -> list[Endpoint]:
    """The routes over the log that `pool` reads and `commands` appends to."""

    async def load(request: Request, caller: Caller) -> tuple[UUID, Collection]:
        """The collection that the path names, of the caller's team, at the version that `If-Match` asks for."""
        collection_id = path_id(request, "collection_id", "collection")
        state = collection_of(await read_stream(pool, stream_of("collection", collection_id)))
        if state.version == 0 or state.team_id != caller.team_id:
            raise Refused("not_found", f"there is no collection {collection_id}")
        refuse_stale(request, state.version, "collection")
        return collection_id, state

    def command(decided: Callable[[Collection, str | None], msgspec.Struct]) -> Handler:
        """A command that takes a reason and nothing else."""

        async def run(request: Request) -> Response:
            async def decide(body: WithReason, caller: Caller) -> Decision:
                collection_id, state = await load(request, caller)
                data = decided(state, body.reason)
                assert state.created is not None
                more = []
                if isinstance(data, CollectionCancelled) and state.created.lane == "bulk":
                    # From here on it counts no more, however long AMC takes to end what it runs.
                    more.append(backfill_ended(caller.team_id, caller.user_id, collection_id))
                return _decision(collection_id, state, data, caller, more)

            return await commands.run(request, WithReason, decide)

        return run

    async def front(request: Request) -> Response:
        async def decide(body: ToFront, caller: Caller) -> Decision:
            collection_id, state = await load(request, caller)
            return _decision(collection_id, state, collections.to_front(state, body.segment_id, body.reason), caller)

        return await commands.run(request, ToFront, decide)

    async def change(request: Request) -> Response:
        async def decide(body: ChangeCollection, caller: Caller) -> Decision:
            collection_id, state = await load(request, caller)
            assert state.created is not None
            instance = await load_instance(pool, state.created.instance_id, caller.team_id)
            if instance and body.parallel_limit and body.parallel_limit > instance.max_concurrent:
                most = f"the instance runs {instance.max_concurrent} at once; give at most that"
                problem = Problem("/parallel_limit", most)
                raise Refused("invalid", most, problems=[problem])
            changed = collections.change(
                state,
                body.reason,
                parallel_limit=body.parallel_limit,
                max_attempts=body.max_attempts,
                stop_after_failures=body.stop_after_failures,
                order=body.order,
            )
            return _decision(collection_id, state, changed, caller)

        return await commands.run(request, ChangeCollection, decide)

    async def failed_segments(collection_id: UUID, *, stalled: bool = False) -> dict[UUID, asyncpg.Record]:
        """The collection's failed segments by id, or also those that have stalled, as of the log's end."""
        await wait_position(pool, await read_head(pool))
        rows = await pool.fetch(
            "SELECT segment_id, stream_version, attempts, stalled FROM report_data_weeks"
            " WHERE collection_id = $1 AND (status = 'failed' OR (stalled IS NOT NULL AND $2)) ORDER BY week_start",
            collection_id,
            stalled,
        )
        return {row["segment_id"]: row for row in rows}

    async def run_again(
        collection_id: UUID,
        state: Collection,
        caller: Caller,
        data: msgspec.Struct,
        moved: Iterable[tuple[asyncpg.Record, msgspec.Struct]],
        segment_ids: tuple[UUID, ...],
    ) -> Decision:
        """`data` for the collection and what `moved` says for segments of it; it counts again where it had ended."""
        assert state.created is not None
        writes = [
            Write(
                stream_of("segment", row["segment_id"]),
                row["stream_version"],
                (_event(collection_id, state, event, caller),),
            )
            for row, event in moved
        ]
        if state.finished and state.created.lane == "bulk":
            writes += await teams.admit(caller, backfill=collection_id)
        decision = _decision(collection_id, state, data, caller, more=writes)
        answer = CollectionRetriedAnswer(**msgspec.structs.asdict(decision.answer), segment_ids=segment_ids)
        return msgspec.structs.replace(decision, answer=answer)

    async def retry(request: Request) -> Response:
        async def decide(body: RetrySegments, caller: Caller) -> Decision:
            collection_id, state = await load(request, caller)
            failed = await failed_segments(collection_id, stalled=True)
            data = collections.retry(state, failed, body.segment_ids, body.reason)
            moved = [(failed[id], _again(collection_id, failed[id])) for id in data.segment_ids]
            return await run_again(collection_id, state, caller, data, moved, data.segment_ids)

        return await commands.run(request, RetrySegments, decide)

    async def split(request: Request) -> Response:
        async def decide(body: SplitSegment, caller: Caller) -> Decision:
            collection_id, state = await load(request, caller)
            failed = await failed_segments(collection_id)
            data = collections.split(state, failed, body.segment_id, body.into, body.reason)
            moved = [(failed[body.segment_id], Split(collection_id))]
            pieces = tuple(planned.segment_id for planned in data.into)
            return await run_again(collection_id, state, caller, data, moved, pieces)

        return await commands.run(request, SplitSegment, decide)

    one = "/api/data-collections/{collection_id}"

    def control(
        method: Literal["POST", "PATCH"],
        path: str,
        handler: Handler,
        summary: str,
        body: type[Body] = WithReason,
        answer: type[Recorded] = CollectionMoved,
        *more: str,
    ) -> Endpoint:
        return Endpoint(
            method,
            path,
            handler,
            summary=summary,
            body=body,
            answer=answer,
            scope="collections:write",
            refusals=("not_found", "stale", "collection_state", "version_conflict", *more),
        )

    again = (CollectionRetriedAnswer, "too_many_backfills", "projection_behind")
    pause, resume, cancel = (command(act) for act in (collections.pause, collections.resume, collections.cancel))
    return [
        control("PATCH", one, change, "Change how the rest of a collection runs", ChangeCollection),
        control("POST", f"{one}/pause", pause, "Give a collection's segments no more slots"),
        control("POST", f"{one}/resume", resume, "Let a paused collection go on"),
        control("POST", f"{one}/cancel", cancel, "End a collection, and what AMC runs for it"),
        control("POST", f"{one}/front", front, "Let a collection, or a segment of it, run next", ToFront),
        control(
            "POST",
            f"{one}/retry",
            retry,
            "Run failed segments again, and let stalled ones go on",
            RetrySegments,
            *again,
        ),
        control("POST", f"{one}/split", split, "Run a failed segment again in pieces", SplitSegment, *again),
    ]


def _again(collection_id: UUID, row: asyncpg.Record) -> Retried | Resumed:
    """The event that lets a failed segment run again, or a stalled one go on."""
    if row["stalled"] is None:
        return Retried(collection_id, row["attempts"])
    stall = msgspec.json.decode(row["stalled"], type=Stall)
    return Resumed(collection_id, stall.attempt, stall.step)


def _event(collection_id: UUID, state: Collection, data: msgspec.Struct, caller: Caller) -> NewEvent:
    return NewEvent(
        data=data,
        team_id=caller.team_id,
        user_id=caller.user_id,
        workflow_id=state.workflow_id,
        metadata=Metadata(correlation_id=str(collection_id)),
    )


def _decision(
    collection_id: UUID, state: Collection, data: msgspec.Struct, caller: Caller, more: Iterable[Write] = ()
) -> Decision:
    """The command's event at the version that was read, and where the collection stands after it."""
    after = state.after(data)
    write = Write(stream_of("collection", collection_id), state.version, (_event(collection_id, state, data, caller),))
    answer = CollectionMoved(
        collection_id=collection_id,
        version=after.version,
        paused=after.paused,
        cancelled=after.cancelled,
        held=after.held,
        parallel_limit=after.parallel_limit,
        max_attempts=after.max_attempts,
        stop_after_failures=after.stop_after_failures,
        order=after.order,
    )
    # Last: who has seen the collection's event has seen the others. Admission rests on it when it declares an end.
    return Decision((*more, write), answer)
