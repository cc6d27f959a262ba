"""Read model `reports`: where each report stands on its way through the builder."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent
from events.types import report as reports
from projections.rows import Rows, Table


class ReportRow(msgspec.Struct, kw_only=True):
    report_id: UUID
    team_id: str
    user_id: UUID | None
    name: str
    next_step: str | None = "parameters"
    instance_id: str | None = None
    workflow_id: str | None = None
    schedule_type: str | None = None
    collection_id: UUID | None = None
    schedule_id: UUID | None = None
    stream_version: int
    created_at: datetime
    submitted_at: datetime | None = None
    updated_at: datetime


REPORTS = Table("reports", "report_id", ReportRow)


def want_report(event: RecordedEvent, rows: Rows) -> None:
    rows.want(REPORTS, event.entity_uuid)


def report_created(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, reports.ReportCreated)
    rows.add(
        REPORTS,
        ReportRow(
            report_id=event.entity_uuid,
            team_id=event.team_id,
            user_id=event.user_id,
            name=data.name,
            stream_version=event.stream_version,
            created_at=event.recorded_at,
            updated_at=event.recorded_at,
        ),
    )


def report_moved(event: RecordedEvent, data: Any, rows: Rows) -> None:
    report = rows.change(REPORTS, event.entity_uuid)
    match data:
        case reports.ParametersSet():
            report.instance_id, report.workflow_id = data.instance_id, data.workflow_id
            report.next_step = "review" if report.schedule_type else "schedule"
        case reports.ScheduleSet():
            report.schedule_type = str(data.schedule.__struct_config__.tag)
            report.next_step = "review"
        case reports.Reviewed():
            report.next_step = "submit"
        case reports.Submitted():
            report.next_step = None
            report.collection_id, report.schedule_id = data.collection_id, data.schedule_id
            report.submitted_at = event.recorded_at
    report.stream_version = event.stream_version
    report.updated_at = event.recorded_at


TABLES = (REPORTS,)
HANDLERS = {"report.created": (want_report, report_created)} | {
    name: (want_report, report_moved) for name, _ in reports.EVENTS if name != "report.created"
}
