"""Read model `workflows`: each team's SQL, by its newest version."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.codec import encode
from events.envelope import RecordedEvent
from events.types.workflow import WorkflowChanged, WorkflowCreated
from projections.rows import Json, Rows, Table


class WorkflowRow(msgspec.Struct):
    workflow_id: str
    team_id: str
    user_id: UUID | None
    name: str
    sql_query: str
    parameters: Json
    archived: bool
    stream_version: int
    created_at: datetime
    updated_at: datetime
    updated_by: UUID | None


WORKFLOWS = Table("workflows", "workflow_id", WorkflowRow)


def want_workflow(event: RecordedEvent, rows: Rows) -> None:
    rows.want(WORKFLOWS, event.entity_id)


def workflow_created(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, WorkflowCreated)
    rows.add(
        WORKFLOWS,
        WorkflowRow(
            workflow_id=event.entity_id,
            team_id=event.team_id,
            user_id=event.user_id,
            name=data.name,
            sql_query=data.sql_query,
            parameters=encode(data.parameters),
            archived=False,
            stream_version=event.stream_version,
            created_at=event.recorded_at,
            updated_at=event.recorded_at,
            updated_by=event.user_id,
        ),
    )


def workflow_changed(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, WorkflowChanged)
    row = _touched(event, rows)
    row.name, row.sql_query, row.parameters = data.name, data.sql_query, encode(data.parameters)


def workflow_archived(event: RecordedEvent, data: Any, rows: Rows) -> None:
    _touched(event, rows).archived = True


def workflow_unarchived(event: RecordedEvent, data: Any, rows: Rows) -> None:
    _touched(event, rows).archived = False


def _touched(event: RecordedEvent, rows: Rows) -> WorkflowRow:
    row = rows.change(WORKFLOWS, event.entity_id)
    row.stream_version, row.updated_at, row.updated_by = event.stream_version, event.recorded_at, event.user_id
    return row


TABLES = (WORKFLOWS,)
HANDLERS = {
    "workflow.created": (want_workflow, workflow_created),
    "workflow.changed": (want_workflow, workflow_changed),
    "workflow.archived": (want_workflow, workflow_archived),
    "workflow.unarchived": (want_workflow, workflow_unarchived),
}
