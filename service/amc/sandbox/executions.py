"""Saved workflows and executions as the sandbox keeps them; the journal holds exactly these."""

from __future__ import annotations

from datetime import datetime

import msgspec

from service.amc.sandbox.windows import Window

ACTIVE = ("PENDING", "RUNNING")


class SavedWorkflow(msgspec.Struct, kw_only=True):
    """A workflow with its body as it was sent."""

    instance_id: str
    workflow_id: str
    sql: str
    body: dict[str, object]


class Execution(msgspec.Struct, kw_only=True):
    """One execution, from its create to its end. Times are UTC, whole seconds."""

    execution_id: str
    sequence: int
    """Order of creation, from 1."""
    instance_id: str
    workflow_id: str
    sql: str
    declared: list[dict[str, object]]
    values: dict[str, object]
    """Parameter values as sent."""
    window: Window
    attempt: int
    """1 for the first execution of this instance, workflow, window and values."""
    timeout_seconds: int
    dry_run: bool
    created: datetime
    updated: datetime
    fault: str | None = None
    """How it is going to end, decided at create: `reject`, `fail`, or as its SQL says."""
    fault_status: str = "FAILED"
    fault_reason: str = ""
    status: str = "PENDING"
    reason: str = ""
    seconds: float | None = None
    columns: list[dict[str, object]] = msgspec.field(default_factory=list)
    files: list[str] = msgspec.field(default_factory=list)
    """Names of the result files in the results folder."""

    @property
    def active(self) -> bool:
        """Whether it is PENDING or RUNNING."""
        return self.status in ACTIVE

    def identity(self) -> tuple[str, ...]:
        """Equal for executions that do the same work: instance, workflow, window and values."""
        values = msgspec.json.encode(self.values, order="sorted").decode()
        window = self.window
        return (
            self.instance_id,
            self.workflow_id,
            window.start_original,
            window.end_original,
            window.zone,
            values,
        )
