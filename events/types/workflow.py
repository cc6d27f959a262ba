"""Events of `workflow-` streams: the SQL that reports run, and the parameters that it declares."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from events.configurations import ParameterValue
from events.validation import Body

TypeName = Literal[
    "BINARY", "BOOLEAN", "BYTE", "CALENDAR_INTERVAL", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INTEGER", "LONG",
    "SHORT", "STRING", "TIMESTAMP",
]  # fmt: skip
TYPE_NAMES: tuple[str, ...] = get_args(TypeName)
ParameterKind = Literal[
    "text", "asin", "campaign_id", "ad_group_id", "line_item_id", "creative_id", "advertiser_id", "entity_id"
]
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def _name_problem(name: str) -> str | None:
    if not name:
        return "is empty; give the SQL's name"
    if not _PARAMETER_NAME.fullmatch(name):
        return "is not a parameter's name; take up to 100 letters, digits, _, . and -, a letter or _ first"
    return None


def _type_problem(name: str) -> str | None:
    return None if name in (*TYPE_NAMES, "ARRAY") else "is not one of AMC's types"


# The rules are `extra`, which reading a recorded event passes over: what was recorded can always be read.
ParameterName = Annotated[
    str, Meta(extra={"check": _name_problem}, extra_json_schema={"pattern": f"^{_PARAMETER_NAME.pattern}$"})
]
DataType = Annotated[
    str,
    Meta(
        extra={"check": _type_problem, "expected": f"one of AMC's types, {', '.join(TYPE_NAMES)}"},
        extra_json_schema={"enum": [*TYPE_NAMES, "ARRAY"]},
    ),
]


class ArrayType(Body, frozen=True, kw_only=True, tag_field="type", tag="ARRAY", rename="camel"):
    """A list of texts, spelled as AMC does: `{"type": "ARRAY", "elementDataType": "STRING"}`."""

    element_data_type: Literal["STRING"] = "STRING"


class DeclaredParameter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A parameter that the SQL reads with CUSTOM_PARAMETER('name').

    `data_type` is AMC's name for it, or a list's (for which "ARRAY" may be sent too). `kind` says what the
    texts are, so that they can be checked; None: what the name says of it. The values of one that is `personal` are
    about people: they are sealed before they are recorded, and can be erased; it has no default.
    """

    name: ParameterName
    data_type: DataType | ArrayType = "STRING"
    default: ParameterValue | None = None
    description: str | None = None
    kind: ParameterKind | None = None
    personal: bool = False

    def __post_init__(self) -> None:
        if self.data_type == "ARRAY":
            force_setattr(self, "data_type", ArrayType())

    @property
    def type_name(self) -> str:
        """The type in one word; ARRAY for a list."""
        return "ARRAY" if isinstance(self.data_type, ArrayType) else self.data_type


class WorkflowContent(msgspec.Struct, frozen=True):
    """All that a version of a workflow says."""

    name: str
    sql_query: str
    parameters: tuple[DeclaredParameter, ...] = ()


class WorkflowCreated(WorkflowContent, frozen=True):
    """A workflow as the team names it. AMC gets it later, under a name made from SQL and parameters."""


class WorkflowChanged(WorkflowContent, frozen=True):
    """The whole new content. What runs already, or was submitted, keeps what it began with."""


class WorkflowArchived(msgspec.Struct, frozen=True):
    """It is out of the way: no report can be begun on it. What was submitted goes on."""


class WorkflowUnarchived(msgspec.Struct, frozen=True):
    """It can be used again."""


EVENTS = {
    ("workflow.created", 1): WorkflowCreated,
    ("workflow.changed", 1): WorkflowChanged,
    ("workflow.archived", 1): WorkflowArchived,
    ("workflow.unarchived", 1): WorkflowUnarchived,
}
