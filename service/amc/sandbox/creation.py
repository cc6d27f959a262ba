"""Reads the bodies that create workflows and executions, and refuses what Amazon refuses at once."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from service.amc.sandbox.executions import SavedWorkflow
from service.amc.sandbox.windows import BadWindow, Window, read_window

_ID = re.compile(r"[A-Za-z0-9._\-]{1,256}")


class Refused(Exception):
    """An answer other than success: its HTTP status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A create of an execution, read and found good."""

    window: Window
    values: dict[str, object]
    timeout_seconds: int
    dry_run: bool


def read_body(body: bytes) -> dict[str, object]:
    """The JSON object of a request. Raises Refused."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "Request body is not valid JSON.") from None
    if not isinstance(decoded, dict):
        raise Refused(400, "Request body must be a JSON object.")
    return decoded


def read_workflow(instance_id: str, body: Mapping[str, object]) -> SavedWorkflow:
    """The workflow to save. Raises Refused."""
    workflow_id, sql = body.get("workflowId"), body.get("sqlQuery")
    if not isinstance(workflow_id, str) or not _ID.fullmatch(workflow_id):
        raise Refused(400, "workflowId must consist of letters, digits, '.', '-' and '_'.")
    if not isinstance(sql, str) or not sql.strip():
        raise Refused(400, "sqlQuery is required.")
    declared = declared_of(body)
    if len(declared) > 100:
        raise Refused(422, "inputParameters must have at most 100 entries.")
    for parameter in declared:
        if not isinstance(parameter.get("name"), str) or not parameter.get("dataType"):
            raise Refused(400, "inputParameters must have a name and a dataType.")
    return SavedWorkflow(instance_id=instance_id, workflow_id=workflow_id, sql=sql, body=dict(body))


def declared_of(body: Mapping[str, object]) -> list[dict[str, object]]:
    """The declared parameters of a workflow's body."""
    entries = body.get("inputParameters") or []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def read_order(body: Mapping[str, object], declared: list[dict[str, object]]) -> Order:
    """What an execution is to do. Raises Refused, also for a required parameter without a value."""
    if body.get("timeWindowType", "MOST_RECENT_DAY") != "EXPLICIT":
        raise Refused(400, "timeWindowType: this sandbox runs EXPLICIT windows only.")
    try:
        window = read_window(body.get("timeWindowStart"), body.get("timeWindowEnd"), body.get("timeWindowTimeZone"))
    except BadWindow as error:
        raise Refused(400, str(error)) from None
    values = body.get("parameterValues") or {}
    if not isinstance(values, dict):
        raise Refused(400, "parameterValues must be an object.")
    if "\\u0000" in msgspec.json.encode(values).decode():
        raise Refused(400, "parameterValues must not contain NUL.")
    for parameter in declared:
        name = str(parameter["name"])
        if values.get(name) is None and parameter.get("defaultValue") is None:
            raise Refused(400, f"Parameter {name} has no default value and must be given a value.")
    return Order(
        window=window,
        values=values,
        timeout_seconds=_timeout(body.get("workflowExecutionTimeoutSeconds", 21600)),
        dry_run=body.get("dryRun") in (True, "true", "True"),
    )


def _timeout(value: object) -> int:
    # Amazon's own samples send it as a string.
    try:
        seconds = int(str(value))
    except ValueError:
        seconds = 0
    if not 900 <= seconds <= 86400:
        raise Refused(400, "workflowExecutionTimeoutSeconds must be between 900 and 86400.")
    return seconds
