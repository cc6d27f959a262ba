"""What AMC's reporting API speaks of: accounts, instances, workflows, requests and executions.

Values only, no I/O. A saved workflow is named by the hash of its content, and an execution whose create
answer was lost is recognised by what was sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

ParameterValue = str | int | float | bool | list[str]

FINISHED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"})
"""Every other status, also one that Amazon adds later, means: still going on."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One Amazon Ads login: an OAuth client, a refresh token, and the region's addresses."""

    account_id: str
    client_id: str
    client_secret: str
    refresh_token: str
    base_url: str = "https://advertising-api.amazon.com"
    token_url: str = "https://api.amazon.com/auth/o2/token"

    def __repr__(self) -> str:  # ends in log lines and tracebacks: no secret may
        return f"Account(account_id={self.account_id!r}, base_url={self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what rich shows in place of __repr__
        return [("account_id", self.account_id), ("base_url", self.base_url)]

    def secrets(self) -> tuple[str, ...]:
        """The values that no message may contain."""
        return (self.client_secret, self.refresh_token)


class Advertiser(msgspec.Struct, frozen=True, kw_only=True):
    """An AMC account (`ENTITY…`) that the login may see."""

    advertiser_id: str
    marketplace_id: str
    name: str = ""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """An AMC instance and the two ids that every call about it must carry as headers."""

    instance_id: str
    advertiser_id: str
    marketplace_id: str
    name: str = ""
    kind: str = ""
    """`STANDARD`, `SANDBOX` …, as Amazon spells it."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A declared input of a workflow: `CUSTOM_PARAMETER('name')` in its SQL."""

    name: str
    data_type: str = "STRING"
    """One of AMC's types; `ARRAY` holds `element_data_type`."""
    element_data_type: str = "STRING"
    default_value: ParameterValue | None = None
    """Absent: each execution must give a value."""
    column_type: Literal["DIMENSION", "METRIC"] = "DIMENSION"
    description: str = ""


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """SQL saved at an instance, with its declared parameters."""

    workflow_id: str
    sql: str
    parameters: tuple[Parameter, ...] = ()


class ExecutionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a saved workflow over an explicit window.

    `window_start` and `window_end` are local times of `time_zone`, `YYYY-MM-DDTHH:MM:SS` without
    offset; the end is exclusive. `timeout_seconds` (900 to 86400) counts from RUNNING.
    """

    workflow_id: str
    window_start: str
    window_end: str
    time_zone: str = "UTC"
    parameter_values: dict[str, ParameterValue] = msgspec.field(default_factory=dict)
    timeout_seconds: int = 21600
    advertiser_ids: tuple[str, ...] = ()
    """Restricts the data to these advertisers; empty: all of the instance."""
    dry_run: bool = False
    """Amazon checks the SQL and computes nothing."""


class OutputColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the result, as AMC typed it."""

    name: str
    data_type: str
    column_type: str = ""
    precision: int | None = None
    scale: int | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution as AMC describes it; the `original` fields repeat what was sent."""

    execution_id: str
    workflow_id: str
    status: str
    status_reason: str = ""
    create_time: datetime | None = None
    """UTC, whole seconds; absent only if Amazon left it out."""
    last_updated_time: datetime | None = None
    window_start_original: str = ""
    window_end_original: str = ""
    time_zone_original: str = ""
    parameter_values: dict[str, object] = msgspec.field(default_factory=dict)
    output_columns: tuple[OutputColumn, ...] = ()
    execution_seconds: float | None = None
    data_gaps: tuple[object, ...] = ()
    """What Amazon says is missing in the window; the shape of an entry is not documented."""

    @property
    def finished(self) -> bool:
        """Whether AMC has ended it, well or badly."""
        return self.status in FINISHED


def workflow_id(sql: str, parameters: Iterable[Parameter] = ()) -> str:
    """The name of a saved workflow: `rb-` and 40 hex digits over its SQL and declared parameters.

    Equal content has an equal name, whatever the order of the parameters, so a workflow that already
    exists under the name is the same workflow.
    """
    declared = sorted(parameters, key=lambda parameter: parameter.name)
    content = msgspec.json.encode({"sql": sql, "parameters": declared}, order="sorted")
    return "rb-" + hashlib.sha256(content).hexdigest()[:40]


def matches(execution: Execution, request: ExecutionRequest, parameters: Iterable[Parameter] = ()) -> bool:
    """Whether `execution` may be what came of `request`: same workflow, window as sent, zone and values.

    Values are compared as AMC may return them, as strings. With the workflow's `parameters`, a value
    left out equals its declared default, on either side.
    """
    defaults = {item.name: item.default_value for item in parameters if item.default_value is not None}
    return (
        execution.workflow_id == request.workflow_id
        and _window(execution.window_start_original) == _window(request.window_start)
        and _window(execution.window_end_original) == _window(request.window_end)
        and (execution.time_zone_original or "UTC") == request.time_zone
        and comparable({**defaults, **execution.parameter_values})
        == comparable({**defaults, **request.parameter_values})
    )


def comparable(values: Mapping[str, object]) -> dict[str, str | tuple[str, ...]]:
    """Parameter values in the one form in which two spellings of the same value are equal."""
    return {name: _comparable(value) for name, value in values.items()}


def as_sent(value: ParameterValue) -> str | list[str]:
    """A value as it goes to AMC: text, or a list of texts.

    AMC types the values as strings. Ids of 18 digits would lose digits as JSON numbers in other hands.
    """
    if isinstance(value, list):
        return [_text(item) for item in value]
    return _text(value)


def _comparable(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        # A list may come back as the JSON text of the list.
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return str(value)
    if isinstance(value, (list, tuple)):
        return tuple(_text(item) for item in value)
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _window(bound: str) -> str:
    return bound.removesuffix("Z").removesuffix(".000")
