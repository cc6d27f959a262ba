"""Read model `report_steps`: how far each report has come in the builder, and when it first came there."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent, Step
from events.types.report import ParametersSet, ReportCreated, Reviewed, ScheduleSet, Submitted
from projections.rows import Rows, Table


class ReportStepsRow(msgspec.Struct, kw_only=True):
    report_id: UUID
    team_id: str
    user_id: UUID | None
    created_at: datetime
    parameters_at: datetime | None = None
    schedule_at: datetime | None = None
    review_at: datetime | None = None
    submit_at: datetime | None = None
    parameters_posts: int = 0
    schedule_posts: int = 0
    review_posts: int = 0
    submit_posts: int = 0
    stream_version: int


REPORT_STEPS = Table("report_steps", "report_id", ReportStepsRow)

STEPS: dict[type[msgspec.Struct], Step] = {
    ParametersSet: "parameters",
    ScheduleSet: "schedule",
    Reviewed: "review",
    Submitted: "submit",
}


def want_report(event: RecordedEvent, rows: Rows) -> None:
    rows.want(REPORT_STEPS, event.entity_uuid)


def report_created(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, ReportCreated)
    rows.add(
        REPORT_STEPS,
        ReportStepsRow(
            report_id=event.entity_uuid,
            team_id=event.team_id,
            user_id=event.user_id,
            created_at=event.recorded_at,
            stream_version=event.stream_version,
        ),
    )


def step_posted(event: RecordedEvent, data: Any, rows: Rows) -> None:
    row = rows.change(REPORT_STEPS, event.entity_uuid)
    step = STEPS[type(data)]
    if getattr(row, f"{step}_at") is None:
        setattr(row, f"{step}_at", event.recorded_at)
    setattr(row, f"{step}_posts", getattr(row, f"{step}_posts") + 1)
    row.stream_version = event.stream_version


TABLES = (REPORT_STEPS,)
HANDLERS = {
    "report.created": (want_report, report_created),
    "report.parameters_set": (want_report, step_posted),
    "report.schedule_set": (want_report, step_posted),
    "report.reviewed": (want_report, step_posted),
    "report.submitted": (want_report, step_posted),
}
