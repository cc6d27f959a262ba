"""AMC's reporting API of one account, over HTTP: one method per call, nothing decided here.

No call is repeated except once after a 401, with a fresh token. Everything that goes wrong is an
AmcError; retries, limits and look-ups of lost creates live with the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from service.amc import wire
from service.amc.downloads import Download
from service.amc.errors import CREATE_EXECUTION, AmcError
from service.amc.models import Account, Advertiser, Execution, ExecutionRequest, Instance, Workflow
from service.amc.pace import Pace, Place
from service.amc.transport import Call, Transport, read

PAGE = 100
_PAGES = 10_000


class AmcClient:
    """Calls AMC as `account`. `timeout`: seconds for one request, connect to last byte.

    `pace` is asked before every request to AMC (tokens and file downloads are not AMC's): that is where a rate
    waits. The session is the caller's and stays open.
    """

    def __init__(self, session: aiohttp.ClientSession, account: Account, *, timeout: float, pace: Pace) -> None:
        self._session = session
        self._timeout = timeout
        self._pace = pace
        self._transport = Transport(session, account, timeout=timeout, pace=pace)

    async def take_place(self, instance: Instance, *, again: bool) -> Place:
        """The turn of a call that is to be sent later, so that whoever sends it has no wait left before it; `again`:
        the call repeats an attempt that failed. Raises AmcError as every call does, with nothing sent."""
        return await self._pace.take(instance.instance_id, again=again)

    async def put_workflow(self, instance: Instance, workflow: Workflow) -> None:
        """Saves a workflow. One that exists under the id is the same: the id is a hash of the content."""
        body = wire.workflow_body(workflow)
        try:
            await self._transport.send(_on(instance, "put_workflow", "POST", "workflows", body=body))
        except AmcError as error:
            if not (workflow.workflow_id in error.message and "already exists" in error.message):
                raise

    async def create_execution(
        self,
        instance: Instance,
        request: ExecutionRequest,
        *,
        place: Place | None = None,
        before_send: Callable[[], None] = lambda: None,
    ) -> Execution:
        """Starts an execution. AMC has no idempotency key: mind `may_have_landed` of the AmcError.

        `before_send` is called right before the request goes out; what it raises is raised, and nothing went.
        """
        call = _on(instance, CREATE_EXECUTION, "POST", "workflowExecutions", body=wire.execution_body(request))
        answer = await self._transport.send(call, place=place, before_send=before_send)
        return read(CREATE_EXECUTION, wire.read_execution, answer)

    async def get_execution(self, instance: Instance, execution_id: str) -> Execution:
        """The execution as it stands. AmcError code `not_found` where it is unknown or not visible."""
        call = _on(instance, "get_execution", "GET", "workflowExecutions", execution_id)
        return read("get_execution", wire.read_execution, await self._transport.send(call))

    async def list_executions(
        self, instance: Instance, *, workflow_id: str, min_creation_time: datetime
    ) -> list[Execution]:
        """Every execution of the workflow created at or after `min_creation_time`, oldest first.

        All pages, cancelled ones too. The time must be aware; AMC knows whole seconds, so it is cut
        down to one, never up.
        """
        query = {
            "workflowId": workflow_id,
            "minCreationTime": min_creation_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "timeZone": "UTC",
            "includeCancelled": "true",
            "sortAscending": "true",
            "limit": str(PAGE),
        }
        executions: list[Execution] = []
        token = ""
        for _ in range(_PAGES):
            page = {**query, "nextToken": token} if token else query
            answer = await self._transport.send(
                _on(instance, "list_executions", "GET", "workflowExecutions", query=page)
            )
            found, following = read("list_executions", wire.read_executions, answer)
            executions += found
            if not following:
                return executions
            if following == token:
                break
            token = following
        raise AmcError("the list of executions does not end", kind="unknown", code="unreadable")

    async def cancel_execution(self, instance: Instance, execution_id: str) -> bool:
        """Whether AMC took the cancellation; False where the execution has already ended (HTTP 400)."""
        body = {"status": "CANCELLED"}
        try:
            await self._transport.send(
                _on(instance, "cancel_execution", "PUT", "workflowExecutions", execution_id, body=body)
            )
        except AmcError as error:
            if error.status == 400:
                return False
            raise
        return True

    async def download_urls(self, instance: Instance, execution_id: str) -> list[str]:
        """Signed addresses of the result files, in order, good for about ten minutes.

        AmcError code `not_downloadable` (transient) where the result is not there yet.
        """
        call = _on(instance, "download_urls", "GET", "workflowExecutions", execution_id, "downloadUrls")
        urls = wire.read_download_urls(await self._transport.send(call))
        if not urls:
            raise AmcError("AMC gave no address for the result", kind="transient", code="not_downloadable", status=200)
        return urls

    def download(self, path: Path) -> Download:
        """A result file on its way to `path`; ask it to `take` an address."""
        return Download(self._session, path, timeout=self._timeout)

    async def list_advertisers(self) -> list[Advertiser]:
        """The AMC accounts (`ENTITY…`) that the login may see."""
        call = Call(operation="list_advertisers", method="GET", path=("amc", "accounts"))
        return wire.read_advertisers(await self._transport.send(call))

    async def list_instances(self) -> list[Instance]:
        """Every instance of every AMC account of the login, all pages."""
        instances: list[Instance] = []
        for advertiser in await self.list_advertisers():
            token = ""
            for _ in range(_PAGES):
                answer = await self._transport.send(
                    Call(
                        operation="list_instances",
                        method="GET",
                        path=("amc", "instances"),
                        ids=_ids(advertiser.advertiser_id, advertiser.marketplace_id),
                        query={"nextToken": token} if token else None,
                    )
                )
                found, following = wire.read_instances(answer, advertiser)
                instances += found
                if not following or following == token:
                    break
                token = following
        return instances


def _on(
    instance: Instance,
    operation: str,
    method: str,
    *rest: str,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> Call:
    """A call of the reporting API of an instance, `rest` being its path there."""
    return Call(
        operation=operation,
        method=method,
        path=("amc", "reporting", instance.instance_id, *rest),
        ids=_ids(instance.advertiser_id, instance.marketplace_id),
        query=query,
        body=body,
        instance_id=instance.instance_id,
    )


def _ids(advertiser_id: str, marketplace_id: str) -> dict[str, str]:
    return {
        "Amazon-Advertising-API-AdvertiserId": advertiser_id,
        "Amazon-Advertising-API-MarketplaceId": marketplace_id,
    }
