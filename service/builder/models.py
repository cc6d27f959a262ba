"""What the builder's routes take, and the report as its events have made it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from events.envelope import RecordedEvent
from events.types import report
from events.types.instance import InstanceAdded
from events.types.workflow import WorkflowContent
from events.validation import Body

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", extra={"expected": "the digest that review answered"})]


class CreateReport(Body, frozen=True, kw_only=True):
    """Begins a report."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] = "Untitled report"


class Review(Body, frozen=True, kw_only=True):
    """Asks for the review; it takes nothing."""


class Submit(Body, frozen=True, kw_only=True):
    """Sets the reviewed configuration to work."""

    digest: Digest


class Ground(msgspec.Struct, frozen=True):
    """What a configuration stands on: the workflow and the instance that it names."""

    workflow: WorkflowContent
    instance: InstanceAdded


class Report(msgspec.Struct, frozen=True):
    """A report by its events; `version` is its stream's, 0 where it does not exist.

    `changed_since_review` names the steps that were set again after the last review.
    """

    version: int = 0
    team_id: str = ""
    name: str = ""
    parameters: report.ParametersSet | None = None
    schedule: report.ScheduleSet | None = None
    review: report.Reviewed | None = None
    changed_since_review: tuple[str, ...] = ()
    submission: report.Submitted | None = None

    def evolve(self, version: int, data: Any) -> Report:
        """The report after one more event."""
        changes: dict[str, Any] = {"version": version}
        match data:
            case report.ReportCreated():
                changes |= {"name": data.name}
            case report.ParametersSet():
                changes |= {"parameters": data, "changed_since_review": (*self.changed_since_review, "parameters")}
            case report.ScheduleSet():
                changes |= {"schedule": data, "changed_since_review": (*self.changed_since_review, "schedule")}
            case report.Reviewed():
                changes |= {"review": data, "changed_since_review": ()}
            case report.Submitted():
                changes |= {"submission": data}
        return msgspec.structs.replace(self, **changes)

    @property
    def next_step(self) -> str | None:
        """The step that is to be done now; None after submit."""
        if self.submission:
            return None
        if self.parameters is None:
            return "parameters"
        if self.schedule is None:
            return "schedule"
        return "submit" if self.review and not self.changed_since_review else "review"


def report_of(events: Iterable[RecordedEvent]) -> Report:
    """The report that a stream's events have made."""
    state = Report()
    for event in events:
        state = msgspec.structs.replace(state, team_id=event.team_id).evolve(event.stream_version, event.data)
    return state
