"""A workflow as its events have made it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from db.pool import Connection, Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from events.types.workflow import WorkflowArchived, WorkflowContent, WorkflowCreated, WorkflowUnarchived
from service.footing import Kind

Change = Literal["created", "changed", "archived", "unarchived"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a workflow's history: who, when, what. `fields` are those that it gave another value.

    `version` is the stream's: what an `ETag` says and `If-Match` names.
    """

    version: int
    change: Change
    fields: tuple[str, ...]
    user_id: UUID | None
    recorded_at: datetime


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow by its events; `version` is its stream's, the times are in UTC."""

    workflow_id: str
    team_id: str
    version: int
    content: WorkflowContent
    archived: bool = False
    created_at: datetime
    created_by: UUID | None
    updated_at: datetime
    updated_by: UUID | None
    history: tuple[Version, ...] = ()

    def evolve(self, event: RecordedEvent) -> Workflow:
        """The workflow after one more event."""
        changes: dict[str, Any] = {}
        match data := event.data:
            case WorkflowContent():
                changes["content"] = data
            case WorkflowArchived():
                changes["archived"] = True
            case WorkflowUnarchived():
                changes["archived"] = False
        return msgspec.structs.replace(
            self,
            **changes,
            version=event.stream_version,
            updated_at=event.recorded_at,
            updated_by=event.user_id,
            history=(*self.history, _version(event, self.content)),
        )


def workflow_of(events: Iterable[RecordedEvent], version: int | None = None) -> Workflow | None:
    """The workflow that a stream's events have made, up to a version; None where that is none of its."""
    state: Workflow | None = None
    for event in events:
        if version is not None and event.stream_version > version:
            break
        state = _evolved(state, event)
    return state if state is None or version in (None, state.version) else None


def _evolved(state: Workflow | None, event: RecordedEvent) -> Workflow:
    if state is not None:
        return state.evolve(event)
    assert isinstance(event.data, WorkflowCreated)
    return Workflow(
        workflow_id=event.entity_id,
        team_id=event.team_id,
        version=event.stream_version,
        content=event.data,
        created_at=event.recorded_at,
        created_by=event.user_id,
        updated_at=event.recorded_at,
        updated_by=event.user_id,
        history=(_version(event, None),),
    )


WORKFLOWS = Kind("workflow", _evolved)


async def load_workflow(
    connection: Connection | Pool, workflow_id: str, team_id: str, version: int | None = None
) -> Workflow | None:
    """The team's workflow as it stands now, or stood at a version; None where it has no such one."""
    state = workflow_of(await read_stream(connection, stream_of("workflow", workflow_id)), version)
    return state if state is not None and state.team_id == team_id else None


def _version(event: RecordedEvent, before: WorkflowContent | None) -> Version:
    data = event.data
    fields: tuple[str, ...] = ()
    if isinstance(data, WorkflowContent):
        names = WorkflowContent.__struct_fields__
        fields = tuple(name for name in names if before is None or getattr(before, name) != getattr(data, name))
    return Version(
        version=event.stream_version,
        change=event.event_type.partition(".")[2],  # type: ignore[arg-type]
        fields=fields,
        user_id=event.user_id,
        recorded_at=event.recorded_at,
    )
