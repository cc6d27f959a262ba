"""Events of `workflow-` streams: the SQL that reports run, and the parameters that it declares."""

from __future__ import annotations

import msgspec


class DeclaredParameter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A parameter that the SQL reads with CUSTOM_PARAMETER('name'). `data_type` is AMC's name for it."""

    name: str
    data_type: str = "STRING"
    default: str | list[str] | None = None
    description: str | None = None


class WorkflowCreated(msgspec.Struct, frozen=True):
    """A workflow as the team names it. AMC gets it later, under a name made from SQL and parameters."""

    name: str
    sql_query: str
    parameters: tuple[DeclaredParameter, ...] = ()


EVENTS = {("workflow.created", 1): WorkflowCreated}
