"""Events of `report-` streams: one report on its way through the four steps of the builder."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from events.configurations import LookbackConfig, ParameterValues, ScheduleStep


class ReportCreated(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A report was begun; nothing runs yet. `copied_from` is the report whose steps it begins with."""

    name: str
    copied_from: UUID | None = None


class ParametersSet(msgspec.Struct, frozen=True, gc=False):
    """Step 1: what is asked of whom, and the window of one run. `timezone` is the report's zone."""

    instance_id: str
    workflow_id: str
    parameters: ParameterValues
    lookback_config: LookbackConfig
    timezone: str


class ScheduleSet(msgspec.Struct, frozen=True):
    """Step 2: once, recurring, history, or both."""

    schedule: ScheduleStep


class Reviewed(msgspec.Struct, frozen=True):
    """Step 3: a person saw the configuration whose digest this is. `as_of` is fixed here: what was
    reviewed is what runs. The window is that of the collection, or for a schedule alone that of a run on
    that day; `segments` counts what it is cut into."""

    digest: str
    as_of: date
    window_start: date
    window_end: date
    segments: int
    warnings: tuple[str, ...] = ()


class Submitted(msgspec.Struct, frozen=True):
    """Step 4: the reviewed configuration was set to work, as a collection, a schedule or both."""

    digest: str
    collection_id: UUID | None = None
    schedule_id: UUID | None = None


class CheckStarted(msgspec.Struct, frozen=True):
    """AMC was asked to check the SQL with the parameters, and to compute nothing. `content_key` says which."""

    content_key: str
    execution_id: str


class SqlChecked(msgspec.Struct, frozen=True):
    """AMC has checked them: it takes them, or rejects them and `error` is its own text, or it could not tell."""

    content_key: str
    outcome: Literal["taken", "rejected", "failed"]
    error: str | None


EVENTS = {
    ("report.created", 1): ReportCreated,
    ("report.parameters_set", 1): ParametersSet,
    ("report.schedule_set", 1): ScheduleSet,
    ("report.reviewed", 1): Reviewed,
    ("report.check_started", 1): CheckStarted,
    ("report.checked", 1): SqlChecked,
    ("report.submitted", 1): Submitted,
}
