"""`/amc/reporting/{instanceId}/workflows`: create, list, get, replace, delete."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.amc.sandbox.answers import WORKFLOWS, answer, nothing
from service.amc.sandbox.creation import Refused, read_body, read_workflow
from service.amc.sandbox.executions import SavedWorkflow
from service.amc.sandbox.paging import page_of
from service.amc.sandbox.sandbox import Sandbox


async def create(request: Request) -> Response:
    """Saves a workflow; one that exists is refused, whatever its content."""
    workflow = read_workflow(request.path_params["instance_id"], read_body(await request.body()))
    sandbox: Sandbox = request.app.state.sandbox
    if (workflow.instance_id, workflow.workflow_id) in sandbox.workflows:
        raise Refused(400, f"Workflow with ID {workflow.workflow_id} already exists.")
    sandbox.save_workflow(workflow)
    return nothing()


async def listing(request: Request) -> Response:
    """One page of the instance's workflows, by id."""
    sandbox: Sandbox = request.app.state.sandbox
    instance_id = request.path_params["instance_id"]
    workflows = sorted(
        (workflow for workflow in sandbox.workflows.values() if workflow.instance_id == instance_id),
        key=lambda workflow: workflow.workflow_id,
    )
    page, following = page_of(workflows, lambda workflow: workflow.workflow_id, request.query_params)
    content: dict[str, object] = {"workflows": [workflow.body for workflow in page]}
    if following:
        content["nextToken"] = following
    return answer(content, media_type=WORKFLOWS)


async def get(request: Request) -> Response:
    """The workflow's body, flat."""
    return answer(find(request, request.path_params["workflow_id"]).body, media_type=WORKFLOWS)


async def replace(request: Request) -> Response:
    """Puts another body in the place of a saved one."""
    saved = find(request, request.path_params["workflow_id"])
    workflow = read_workflow(saved.instance_id, read_body(await request.body()))
    if workflow.workflow_id != saved.workflow_id:
        raise Refused(422, "workflowId must be the same in path and body.")
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.save_workflow(workflow)
    return nothing()


async def delete(request: Request) -> Response:
    """Removes a workflow."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.delete_workflow(find(request, request.path_params["workflow_id"]))
    return nothing()


def find(request: Request, workflow_id: str, status: int = 404) -> SavedWorkflow:
    """The saved workflow. Raises Refused with `status`."""
    sandbox: Sandbox = request.app.state.sandbox
    workflow = sandbox.workflows.get((request.path_params["instance_id"], workflow_id))
    if workflow is None:
        raise Refused(status, f"Workflow with ID {workflow_id} does not exist.")
    return workflow


_ALL = "/amc/reporting/{instance_id}/workflows"
_ONE = _ALL + "/{workflow_id}"
ROUTES = [
    Route(_ALL, create, methods=["POST"]),
    Route(_ALL, listing, methods=["GET"]),
    Route(_ONE, get, methods=["GET"]),
    Route(_ONE, replace, methods=["PUT"]),
    Route(_ONE, delete, methods=["DELETE"]),
]
