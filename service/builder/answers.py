"""What the builder's routes answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from events.configurations import ScheduleStep
from events.envelope import Step
from events.types.report import ParametersSet, Reviewed, SqlChecked
from service.builder.models import Report
from service.builder.preview import Preview, WarningAnswer, WindowAnswer
from service.endpoints import Answer, Recorded
from service.workflows.filled import Filled


class ReportAnswer(Recorded, frozen=True, kw_only=True):
    """A report as it stands; `version` is what `If-Match` names. `sql_check` is what AMC has said of the SQL with these
    parameters, if it was asked."""

    report_id: UUID
    version: int
    name: str
    next_step: Step | None
    parameters: ParametersSet | None = None
    schedule: ScheduleStep | None = None
    review: Reviewed | None = None
    changed_since_review: tuple[str, ...] = ()
    sql_check: SqlChecked | None = None
    collection_id: UUID | None = None
    schedule_id: UUID | None = None


class ParametersStepAnswer(ReportAnswer, frozen=True, kw_only=True):
    """The report, and the window of one run as of today."""

    window: WindowAnswer
    warnings: list[WarningAnswer]


class ScheduleStepAnswer(ReportAnswer, frozen=True, kw_only=True):
    """The report, and what its configuration will do."""

    preview: Preview


class ReviewContent(Answer, frozen=True, kw_only=True):
    """Everything that a person must see before they submit. `filled` is the SQL with its values for reading, and
    where they stand in it: AMC gets `sql_query` unchanged, and the values beside it."""

    digest: str
    sql_query: str
    filled: Filled
    preview: Preview


class ReviewAnswer(ReportAnswer, frozen=True, kw_only=True):
    """The report, and with the fields of `ReviewContent` what a person must see before they submit it."""

    digest: str
    sql_query: str
    filled: Filled
    preview: Preview


class SubmittedAnswer(ReportAnswer, frozen=True, kw_only=True):
    """What was set to work: a collection, a schedule, or both."""

    segments_total: int | None = None
    segments_skipped: int | None = None
    next_run_at: datetime | None = None


class ValidatedParameters(Answer, frozen=True, kw_only=True):
    """Parameters that fit: as they would be recorded, and the window of one run."""

    parameters: ParametersSet
    as_of: date
    earliest_allowed: date
    window: WindowAnswer
    warnings: list[WarningAnswer]


class ReportItem(Answer, frozen=True, kw_only=True):
    """A report in a list."""

    report_id: UUID
    user_id: UUID | None
    name: str
    next_step: Step | None
    instance_id: str | None
    workflow_id: str | None
    schedule_type: str | None
    collection_id: UUID | None
    schedule_id: UUID | None
    created_at: datetime
    submitted_at: datetime | None
    updated_at: datetime


class ReportPage(Answer, frozen=True, kw_only=True):
    """Reports, newest first; `next_cursor` leads on to older ones, null on the last page."""

    items: list[ReportItem]
    next_cursor: str | None


def shown(report_id: UUID, state: Report) -> dict[str, Any]:
    """The fields of `ReportAnswer`."""
    return {
        "report_id": report_id,
        "version": state.version,
        "name": state.name,
        "next_step": state.next_step,
        "parameters": state.parameters,
        "schedule": state.schedule and state.schedule.schedule,
        "review": state.review,
        "changed_since_review": tuple(sorted(set(state.changed_since_review))),
        "sql_check": state.verdict,
        "collection_id": state.submission and state.submission.collection_id,
        "schedule_id": state.submission and state.submission.schedule_id,
    }
