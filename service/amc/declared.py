"""Our workflows as AMC gets them: SQL unchanged, with its declared parameters, under the name of their content."""

from __future__ import annotations

from collections.abc import Iterable

from events.types.workflow import DeclaredParameter
from service.amc.models import Parameter, Workflow, workflow_id


def amc_workflow(sql: str, declared: Iterable[DeclaredParameter]) -> Workflow:
    """The workflow to save at AMC."""
    parameters = tuple(_declared(parameter) for parameter in declared)
    return Workflow(workflow_id=workflow_id(sql, parameters), sql=sql, parameters=parameters)


def _declared(parameter: DeclaredParameter) -> Parameter:
    return Parameter(
        name=parameter.name,
        data_type=parameter.type_name,
        default_value=parameter.default,
        description=parameter.description or "",
    )
