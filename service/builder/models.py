"""What the builder's routes take, and the report as its events have made it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from events.configurations import ParametersStep, ScheduleStep
from events.envelope import RecordedEvent, Step
from events.types import report
from events.types.instance import InstanceAdded
from events.types.workflow import WorkflowContent
from events.validation import Body
from service.footing import Kind

Digest = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", max_length=64, extra={"expected": "the digest that review answered"})
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


# What stands for a faulty schedule while the rest is judged.
AT_ONCE: Mapping[str, Any] = {"schedule": {"schedule_type": "once"}}


class CreateReport(Body, frozen=True, kw_only=True):
    """Begins a report."""

    name: Name = "Untitled report"


class CopyReport(Body, frozen=True, kw_only=True):
    """Begins a report with the steps of another; without a name it is called after that one."""

    name: Name | None = None


class Review(Body, frozen=True, kw_only=True):
    """Asks for the review. `as_of` is the day that windows are counted from: today in the report's zone unless
    given, and never later."""

    as_of: date | None = None


class Submit(Body, frozen=True, kw_only=True):
    """Sets the reviewed configuration to work."""

    digest: Digest


class ValidateParameters(ParametersStep, frozen=True, kw_only=True):
    """The parameters step, to be checked and not recorded."""

    as_of: date | None = None


class Configuration(Body, frozen=True, kw_only=True):
    """A whole report in one body: what the first two steps hold."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = AT_ONCE

    parameters: ParametersStep
    schedule: ScheduleStep
    name: Name = "Untitled report"
    as_of: date | None = None


class SubmitConfiguration(Configuration, frozen=True, kw_only=True):
    """A whole report to set to work; `digest` is the one that reviewing it answered."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {**AT_ONCE, "digest": "0" * 64}

    digest: Digest


class Ground(msgspec.Struct, frozen=True):
    """What a configuration stands on: the workflow and the instance that it names."""

    workflow: WorkflowContent
    instance: InstanceAdded


class Report(msgspec.Struct, frozen=True, gc=False):
    """A report by its events; `version` is its stream's, 0 where it does not exist.

    `changed_since_review` names the steps that were set again after the last review. `check` is the last time that
    AMC was asked to check the SQL, `verdict` what it has said of these parameters.
    """

    version: int = 0
    team_id: str = ""
    name: str = ""
    parameters: report.ParametersSet | None = None
    schedule: report.ScheduleSet | None = None
    review: report.Reviewed | None = None
    changed_since_review: tuple[str, ...] = ()
    check: report.CheckStarted | None = None
    verdict: report.SqlChecked | None = None
    submission: report.Submitted | None = None

    def evolve(self, version: int, data: Any) -> Report:
        """The report after one more event."""
        changes: dict[str, Any] = {"version": version}
        match data:
            case report.ReportCreated():
                changes |= {"name": data.name}
            case report.ParametersSet():
                changes |= {"parameters": data, "changed_since_review": (*self.changed_since_review, "parameters")}
                changes |= {"check": None, "verdict": None}
            case report.ScheduleSet():
                changes |= {"schedule": data, "changed_since_review": (*self.changed_since_review, "schedule")}
            case report.Reviewed():
                changes |= {"review": data, "changed_since_review": ()}
            case report.CheckStarted():
                changes |= {"check": data, "verdict": None}
            case report.SqlChecked():
                changes |= {"verdict": data}
            case report.Submitted():
                changes |= {"submission": data}
        return msgspec.structs.replace(self, **changes)

    def amc_takes(self, content_key: str) -> bool:
        """Whether AMC has taken the SQL and the parameters that this key stands for."""
        found = self.verdict
        return found is not None and (found.content_key, found.outcome) == (content_key, "taken")

    @property
    def next_step(self) -> Step | None:
        """The step that is to be done now; None after submit."""
        if self.submission:
            return None
        if self.parameters is None:
            return "parameters"
        if self.schedule is None:
            return "schedule"
        return "submit" if self.review and not self.changed_since_review else "review"


def _evolved(state: Report | None, event: RecordedEvent) -> Report:
    return (state or Report(team_id=event.team_id)).evolve(event.stream_version, event.data)


REPORTS = Kind("report", _evolved)
