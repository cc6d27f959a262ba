"""`/amc/reporting/{instanceId}/workflowExecutions`: create, list, get, cancel, download addresses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.amc.sandbox.answers import EXECUTIONS, answer, execution_object, nothing
from service.amc.sandbox.creation import Refused, declared_of, read_body, read_order, read_workflow
from service.amc.sandbox.executions import Execution
from service.amc.sandbox.paging import page_of
from service.amc.sandbox.sandbox import Sandbox
from service.amc.sandbox.workflow_routes import find as find_workflow


async def create(request: Request) -> Response:
    """Starts a saved workflow (`workflowId`) or one that comes along (`workflow`), over a window."""
    body = read_body(await request.body())
    inline = body.get("workflow")
    if isinstance(inline, dict) == ("workflowId" in body):
        raise Refused(400, "Exactly one of workflowId and workflow is required.")
    if isinstance(inline, dict):
        named = {"workflowId": f"transient_{uuid.uuid4()}", **inline}
        workflow = read_workflow(request.path_params["instance_id"], named)
    else:
        workflow = find_workflow(request, str(body["workflowId"]), 400)
    order = read_order(body, declared_of(workflow.body))
    execution = await _sandbox(request).create_execution(workflow, order)
    return answer(execution_object(execution), media_type=EXECUTIONS)


async def listing(request: Request) -> Response:
    """One page of executions, newest first unless asked; cancelled ones only if asked."""
    query, instance_id = request.query_params, request.path_params["instance_id"]
    workflow_id = query.get("workflowId")
    if not workflow_id and not query.get("minCreationTime"):
        raise Refused(400, "Either workflowId or minCreationTime is required.")
    after, before = _bound(request, "minCreationTime"), _bound(request, "maxCreationTime")
    found = [
        execution
        for execution in _sandbox(request).executions.values()
        if execution.instance_id == instance_id
        and (not workflow_id or execution.workflow_id == workflow_id)
        and (after is None or execution.created >= after)
        and (before is None or execution.created <= before)
        and (execution.status != "CANCELLED" or query.get("includeCancelled", "").lower() == "true")
    ]
    newest_first = query.get("sortAscending", "").lower() != "true"
    found.sort(key=lambda execution: execution.sequence, reverse=newest_first)
    page, following = page_of(found, lambda execution: str(execution.sequence), query)
    content: dict[str, object] = {"executions": [execution_object(execution) for execution in page]}
    if following:
        content["nextToken"] = following
    return answer(content, media_type=EXECUTIONS)


async def get(request: Request) -> Response:
    """The execution as it stands."""
    return answer(execution_object(_find(request)), media_type=EXECUTIONS)


async def change(request: Request) -> Response:
    """Cancels; every other change is refused."""
    execution = _find(request)
    if read_body(await request.body()).get("status") != "CANCELLED":
        raise Refused(400, "Only status CANCELLED can be set.")
    if _sandbox(request).faults.faults.refuse_cancels:
        raise Refused(403, "Not authorized to cancel this execution.")
    if not _sandbox(request).cancel(execution):
        raise Refused(400, f"Execution with ID {execution.execution_id} is {execution.status}.")
    return nothing()


async def download_urls(request: Request) -> Response:
    """Signed addresses of the result files."""
    execution, sandbox = _find(request), _sandbox(request)
    if execution.status != "SUCCEEDED" or not execution.files:
        raise Refused(400, f"Execution with ID {execution.execution_id} is unavailable for download.")
    base = f"{request.url.scheme}://{request.url.netloc}"
    paths = [f"/results/{execution.execution_id}/{number}" for number in range(len(execution.files))]
    urls = [f"{base}{path}?{sandbox.signer.query(path, sandbox.options.url_seconds)}" for path in paths]
    return answer({"downloadUrls": urls, "metadataDownloadUrls": []}, media_type=EXECUTIONS)


def _find(request: Request) -> Execution:
    execution_id = request.path_params["execution_id"]
    execution = _sandbox(request).executions.get(execution_id)
    if execution is None or execution.instance_id != request.path_params["instance_id"]:
        raise Refused(404, f"Execution with ID {execution_id} does not exist.")
    return execution


def _bound(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        local = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - its zone comes next
        zone = ZoneInfo(request.query_params.get("timeZone") or "UTC")
    except (KeyError, ValueError, OSError):
        raise Refused(400, f"{name} must be yyyy-MM-dd'T'HH:mm:ss in a known timeZone.") from None
    return local.replace(tzinfo=zone).astimezone(UTC)


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


_ALL = "/amc/reporting/{instance_id}/workflowExecutions"
_ONE = _ALL + "/{execution_id}"
ROUTES = [
    Route(_ALL, create, methods=["POST"]),
    Route(_ALL, listing, methods=["GET"]),
    Route(_ONE, get, methods=["GET"]),
    Route(_ONE, change, methods=["PUT"]),
    Route(_ONE + "/downloadUrls", download_urls, methods=["GET"]),
]
