"""Read model `workflows`: each team's SQL, by its newest version."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.codec import encode
from events.envelope import RecordedEvent
from events.types.workflow import WorkflowCreated
from projections.rows import Rows, Table


class WorkflowRow(msgspec.Struct):
    workflow_id: str
    team_id: str
    user_id: UUID | None
    name: str
    sql_query: str
    parameters: str
    stream_version: int
    created_at: datetime
    updated_at: datetime


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
            stream_version=event.stream_version,
            created_at=event.recorded_at,
            updated_at=event.recorded_at,
        ),
    )


TABLES = (WORKFLOWS,)
HANDLERS = {"workflow.created": (want_workflow, workflow_created)}
