"""Answers in the forms that Amazon's recordings have: flat objects, UTC times, its media types."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.responses import Response

from service.amc.sandbox.executions import Execution

WORKFLOWS = "application/vnd.amcworkflows.v1+json"
EXECUTIONS = "application/vnd.amcworkflowexecutions.v1+json"


def answer(
    content: object,
    *,
    status: int = 200,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response:
    """A JSON answer with the headers that Amazon sends."""
    request_id = uuid.uuid4().hex[:20].upper()
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type=media_type,
        headers={
            "x-amz-rid": request_id,
            "x-amz-request-id": request_id,
            "Vary": "Content-Type,Accept-Encoding,User-Agent",
            **(headers or {}),
        },
    )


def nothing() -> Response:
    """The empty object with which Amazon confirms; recorded as octet-stream."""
    return answer({}, media_type="application/octet-stream")


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the form of Amazon's specification."""
    return answer({"code": str(status), "details": text}, status=status, headers=headers)


def execution_object(execution: Execution) -> dict[str, object]:
    """An execution as create, get and list show it."""
    window = execution.window
    fields: dict[str, object] = {
        "workflowExecutionId": execution.execution_id,
        "workflowId": execution.workflow_id,
        "status": execution.status,
        "createTime": instant(execution.created),
        "lastUpdatedTime": instant(execution.updated),
        "expireTime": instant(execution.created + timedelta(hours=24)),
        "waitUntil": instant(execution.created - timedelta(hours=1)),
        "timeWindowStart": instant(window.start),
        "timeWindowEnd": instant(window.end),
        "timeWindowStartOriginal": window.start_original,
        "timeWindowEndOriginal": window.end_original,
        "timeWindowTimeZoneOriginal": window.zone,
        "parameterValues": execution.values,
        "executionCategory": "AD_HOC",
        "dataGaps": [],
        "disableAggregationControls": False,
        "ignoreDataGaps": False,
        "workflowExecutionTimeoutSeconds": execution.timeout_seconds,
    }
    if execution.reason:
        fields["statusReason"] = execution.reason
    if execution.status == "SUCCEEDED":
        fields |= {
            "validatedTime": execution.updated.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "executionTime": round(execution.seconds or 0),
            "outputColumns": execution.columns,
            "outputS3URI": "N/A",
            "availableTimeBeforeWindowSecs": 0,
            "invalidationOffsetSecs": 266400,
        }
    return fields


def instant(moment: datetime) -> str:
    """A time as AMC writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
