"""JSON of AMC's API: request bodies out of our models, and our models out of answers.

Amazon's specification wraps single objects (`{"workflowExecution": {…}}`), its recorded answers are
flat: both are read. Fields that we do not know are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from service.amc.models import (
    Advertiser,
    Execution,
    ExecutionRequest,
    Instance,
    OutputColumn,
    Parameter,
    Workflow,
    as_sent,
)


class Unreadable(ValueError):
    """An answer that should be a success but is not in any known form."""


def workflow_body(workflow: Workflow) -> dict[str, object]:
    """The body that creates or replaces a workflow."""
    body: dict[str, object] = {"workflowId": workflow.workflow_id, "sqlQuery": workflow.sql}
    if workflow.parameters:
        body["inputParameters"] = [_parameter_body(parameter) for parameter in workflow.parameters]
    return body


def _parameter_body(parameter: Parameter) -> dict[str, object]:
    array = parameter.data_type == "ARRAY"
    body: dict[str, object] = {
        "name": parameter.name,
        "dataType": (
            {"type": "ARRAY", "elementDataType": parameter.element_data_type} if array else parameter.data_type
        ),
        "columnType": parameter.column_type,
    }
    if parameter.default_value is not None:
        body["defaultValue"] = as_sent(parameter.default_value)
    if parameter.description:
        body["description"] = parameter.description
    return body


def execution_body(request: ExecutionRequest) -> dict[str, object]:
    """The body that creates an execution."""
    body: dict[str, object] = {
        "workflowId": request.workflow_id,
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": request.window_start,
        "timeWindowEnd": request.window_end,
        "timeWindowTimeZone": request.time_zone,
        "parameterValues": {name: as_sent(value) for name, value in request.parameter_values.items()},
        "workflowExecutionTimeoutSeconds": request.timeout_seconds,
    }
    if request.dry_run:
        body["dryRun"] = True
    if request.advertiser_ids:
        body["advertisers"] = [{"id": advertiser} for advertiser in request.advertiser_ids]
    return body


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; an empty body is an empty object. Raises Unreadable."""
    if not body.strip():
        return {}
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable("the answer is not JSON") from None
    if not isinstance(decoded, dict):
        raise Unreadable("the answer is not a JSON object")
    return decoded


def read_execution(answer: Mapping[str, Any]) -> Execution:
    """An execution out of its object, wrapped or flat. Raises Unreadable without an id."""
    wrapped = answer.get("workflowExecution")
    fields: Mapping[str, Any] = wrapped if isinstance(wrapped, dict) else answer
    execution_id = _text(fields.get("workflowExecutionId"))
    if not execution_id:
        raise Unreadable("the answer has no workflowExecutionId")
    seconds = fields.get("executionTime")
    values = fields.get("parameterValues")
    return Execution(
        execution_id=execution_id,
        workflow_id=_text(fields.get("workflowId")),
        status=_text(fields.get("status")),
        status_reason=_text(fields.get("statusReason")),
        create_time=_instant(fields.get("createTime")),
        last_updated_time=_instant(fields.get("lastUpdatedTime")),
        window_start_original=_text(fields.get("timeWindowStartOriginal")),
        window_end_original=_text(fields.get("timeWindowEndOriginal")),
        time_zone_original=_text(fields.get("timeWindowTimeZoneOriginal")),
        parameter_values=values if isinstance(values, dict) else {},
        output_columns=tuple(_column(column) for column in _objects(fields.get("outputColumns"))),
        execution_seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        data_gaps=tuple(_list(fields.get("dataGaps"))),
    )


def read_executions(answer: Mapping[str, Any]) -> tuple[list[Execution], str]:
    """One page of a list and the token of the next page, empty at the end."""
    entries = answer.get("executions", answer.get("workflowExecutions"))
    if not isinstance(entries, list):
        # Read as "none" it would make a lost create look as if it had never landed.
        raise Unreadable("the answer has no list of executions")
    return [read_execution(entry) for entry in _objects(entries)], _text(answer.get("nextToken"))


def read_download_urls(answer: Mapping[str, Any]) -> list[str]:
    """The addresses of the result files, in order; entries may be strings or objects with `url`."""
    urls = [
        _text(entry.get("url")) if isinstance(entry, dict) else _text(entry)
        for entry in _list(answer.get("downloadUrls"))
    ]
    return [url for url in urls if url]


def read_advertisers(answer: Mapping[str, Any]) -> list[Advertiser]:
    """The AMC accounts of `GET /amc/accounts`."""
    return [
        Advertiser(
            advertiser_id=_text(entry.get("accountId")),
            marketplace_id=_text(entry.get("marketplaceId")),
            name=_text(entry.get("accountName")),
        )
        for entry in _objects(answer.get("amcAccounts"))
    ]


def read_instances(answer: Mapping[str, Any], advertiser: Advertiser) -> tuple[list[Instance], str]:
    """One page of an advertiser's instances and the token of the next page, empty at the end."""
    instances = [
        Instance(
            instance_id=_text(entry.get("instanceId")),
            advertiser_id=advertiser.advertiser_id,
            marketplace_id=advertiser.marketplace_id,
            name=_text(entry.get("instanceName")),
            kind=_text(entry.get("instanceType")),
        )
        for entry in _objects(answer.get("instances"))
    ]
    return instances, _text(answer.get("nextToken"))


def _column(fields: Mapping[str, Any]) -> OutputColumn:
    kind = fields.get("dataType")
    precision, scale = (
        fields.get("dataTypePrecision", fields.get("precision")),
        fields.get("dataTypeScale", fields.get("scale")),
    )
    return OutputColumn(
        name=_text(fields.get("name")),
        data_type=_text(kind.get("type")) if isinstance(kind, dict) else _text(kind),
        column_type=_text(fields.get("columnType", fields.get("column_type"))),
        precision=precision if isinstance(precision, int) else None,
        scale=scale if isinstance(scale, int) else None,
    )


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    # All times of AMC are UTC; one without an offset is no exception.
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]
