"""What the workflow routes take and answer, and the rules that a workflow's content keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from events.configurations import ParameterValue, ZoneName
from events.types.workflow import ArrayType, DeclaredParameter, ParameterKind, WorkflowContent
from events.validation import INVALID, Body, Problem
from service.endpoints import Answer, Position, Query, Recorded, Search
from service.workflows.kinds import kind_of
from service.workflows.parameters import check_defaults
from service.workflows.presets import Limits, Preset
from service.workflows.sql import parameter_calls, placeholders
from service.workflows.state import Version, Workflow

MAX_PARAMETERS = 100
"""Amazon's limit."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Input = Literal["text", "list", "whole_number", "number", "boolean", "date", "timestamp"]


class CreateWorkflow(Body, frozen=True, kw_only=True):
    """SQL that goes to AMC unchanged; it reads its parameters with CUSTOM_PARAMETER('name')."""

    name: Name
    sql_query: Annotated[str, Meta(min_length=1, max_length=100_000)]
    parameters: Annotated[tuple[DeclaredParameter, ...], Meta(max_length=MAX_PARAMETERS)] = ()

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        declared = given.get("parameters", ())
        if isinstance(sql := given.get("sql_query"), str):
            yield from _sql_problems(sql, None if declared is INVALID else {each.name for each in declared})
        if declared is not INVALID:
            names = [parameter.name for parameter in declared]
            for index, name in enumerate(names):
                if name in names[:index]:
                    yield Problem(f"/parameters/{index}/name", f"declares {name} a second time; remove it")
            yield from check_defaults(declared)[1]

    @property
    def declared(self) -> tuple[DeclaredParameter, ...]:
        """The parameters with their defaults in the one spelling of each value."""
        return check_defaults(self.parameters)[0]


class ChangeWorkflow(CreateWorkflow, frozen=True, kw_only=True):
    """The whole new content: what is left out is gone."""


class Archive(Body, frozen=True, kw_only=True):
    """Takes nothing."""


class Warned(Answer, frozen=True, kw_only=True):
    """What a person should look at; it blocks nothing. `pointer` is into the workflow."""

    code: Literal["unused_parameter"]
    pointer: str
    message: str


class WorkflowRecorded(Recorded, frozen=True, kw_only=True):
    """What was recorded of a workflow; `version` is what `If-Match` names."""

    workflow_id: str
    version: int
    warnings: list[Warned]


class WorkflowAnswer(Answer, frozen=True, kw_only=True):
    """A workflow as it stands, or stood at a version."""

    workflow_id: str
    version: int
    name: str
    sql_query: str
    parameters: list[DeclaredParameter]
    archived: bool
    created_at: datetime
    created_by: UUID | None
    updated_at: datetime
    updated_by: UUID | None


class WorkflowDetail(WorkflowAnswer, frozen=True, kw_only=True):
    """The same, with what to look at."""

    warnings: list[Warned]


class WorkflowPage(Answer, frozen=True, kw_only=True):
    """Workflows, newest first; `next_cursor` leads on to older ones, null on the last page."""

    items: list[WorkflowAnswer]
    next_cursor: str | None


class VersionPage(Answer, frozen=True, kw_only=True):
    """The history of a workflow, newest first; `next_cursor` leads on to older versions."""

    items: list[Version]
    next_cursor: str | None


class AvailableParameter(Answer, frozen=True, kw_only=True):
    """A parameter to ask for: `input` is the form field that fits its type and kind. The values of one that is
    `personal` are about people: they are sealed where they are kept."""

    name: str
    data_type: str | ArrayType
    kind: ParameterKind
    input: Input
    required: bool
    default: ParameterValue | None
    description: str | None
    personal: bool


class LookbackConstraints(Answer, frozen=True, kw_only=True):
    """What lookbacks a report on this instance may have. `data_delay_days` is what every new relative lookback
    waits, as Amazon promises a day's data within 48 hours."""

    instance_id: str | None
    timezone: str
    retention_days: int
    data_delay_days: int
    limits: Limits
    presets: list[Preset]


class AvailableParameters(Answer, frozen=True, kw_only=True):
    """What to ask a person before the workflow runs."""

    workflow_id: str
    version: int
    parameters: list[AvailableParameter]
    lookback: LookbackConstraints


class ListWorkflows(Query, frozen=True, kw_only=True):
    """Which workflows to list: `search` is a part of the name, in large or small letters; `cursor` is a
    `next_cursor`."""

    search: Search = None
    archived: bool = False
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


class ReadVersion(Query, frozen=True, kw_only=True):
    """Which version to read; the newest unless given."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class ListVersions(Query, frozen=True, kw_only=True):
    """How many versions, and from where on; `cursor` is a `next_cursor`."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class ForInstance(Query, frozen=True, kw_only=True):
    """Where the report is to run, and in which zone its dates are; the instance's zone unless given, and UTC
    where there is no instance yet."""

    instance_id: str | None = None
    timezone: ZoneName | None = None


def warnings_of(content: WorkflowContent) -> list[Warned]:
    """Parameters that are declared and that the SQL never reads."""
    read = {call.name for call in parameter_calls(content.sql_query)}
    return [
        Warned(
            code="unused_parameter",
            pointer=f"/parameters/{index}",
            message=f"the SQL never reads {each.name}; remove it, or write CUSTOM_PARAMETER('{each.name}')",
        )
        for index, each in enumerate(content.parameters)
        if each.name not in read
    ]


def shown(state: Workflow) -> dict[str, Any]:
    """The fields of a WorkflowAnswer."""
    return {
        "workflow_id": state.workflow_id,
        "version": state.version,
        "name": state.content.name,
        "sql_query": state.content.sql_query,
        "parameters": list(state.content.parameters),
        "archived": state.archived,
        "created_at": state.created_at,
        "created_by": state.created_by,
        "updated_at": state.updated_at,
        "updated_by": state.updated_by,
    }


def available(parameters: Sequence[DeclaredParameter]) -> list[AvailableParameter]:
    """The parameters as a form asks for them."""
    return [
        AvailableParameter(
            name=each.name,
            data_type=each.data_type,
            kind=kind_of(each),
            input=_input(each),
            required=each.default is None,
            default=each.default,
            description=each.description,
            personal=each.personal,
        )
        for each in parameters
    ]


_INPUTS: dict[str, Input] = {
    "ARRAY": "list",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DECIMAL": "number",
    "TIMESTAMP": "timestamp",
    **dict.fromkeys(("BYTE", "SHORT", "INTEGER", "LONG"), "whole_number"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "number"),
}


def _input(parameter: DeclaredParameter) -> Input:
    if parameter.type_name == "LONG" and kind_of(parameter) != "text":
        return "text"  # an id: a field for numbers would round it
    return _INPUTS.get(parameter.type_name, "text")


def _sql_problems(sql: str, declared: set[str] | None) -> Iterator[Problem]:
    """`declared` is None where the declarations cannot be read: then nothing is said about them."""
    for found in placeholders(sql):
        yield Problem("/sql_query", f"holds {{{{{found}}}}}; write CUSTOM_PARAMETER('{found}') in its place")
    calls = parameter_calls(sql)
    if any(call.name is None for call in calls):
        message = "calls CUSTOM_PARAMETER with something else than a name; write CUSTOM_PARAMETER('name')"
        yield Problem("/sql_query", message)
    if declared is not None:
        for name in dict.fromkeys(call.name for call in calls if call.name is not None):
            if name not in declared:
                yield Problem("/sql_query", _undeclared(name, declared))


def _undeclared(name: str, declared: set[str]) -> str:
    remedy = "declare it in parameters"
    if same := next((each for each in sorted(declared) if each.lower() == name.lower()), None):
        remedy = f"write CUSTOM_PARAMETER('{same}')"
    return f"reads CUSTOM_PARAMETER('{name}'), which is not declared; {remedy}"
