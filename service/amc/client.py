"""AMC's reporting API of one account, over HTTP: one method per call, nothing decided here.

No call is repeated except once after a 401, with a fresh token. Everything that goes wrong is an
AmcError; retries, limits and look-ups of lost creates live with the caller.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from service.amc import wire
from service.amc.downloads import Download
from service.amc.errors import CREATE_EXECUTION, AmcError
from service.amc.models import Account, Advertiser, Execution, ExecutionRequest, Instance, Workflow
from service.amc.transport import Transport, read

PAGE = 100
_PAGES = 10_000


class AmcClient:
    """Calls AMC as `account`. `timeout`: seconds for one request, connect to last byte.

    `throttle` is awaited before every request to AMC (tokens and file downloads are not AMC's); it is
    where a rate limit waits. The session is the caller's and stays open.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        *,
        timeout: float,
        throttle: Callable[[], Awaitable[None]],
    ) -> None:
        self._session = session
        self._timeout = timeout
        self._transport = Transport(session, account, timeout=timeout, throttle=throttle)

    async def put_workflow(self, instance: Instance, workflow: Workflow) -> None:
        """Saves a workflow. One that exists under the id is the same: the id is a hash of the content."""
        try:
            await self._transport.call(
                "put_workflow",
                "POST",
                _reporting(instance, "workflows"),
                _ids(instance),
                body=wire.workflow_body(workflow),
            )
        except AmcError as error:
            if not (workflow.workflow_id in error.message and "already exists" in error.message):
                raise

    async def create_execution(
        self, instance: Instance, request: ExecutionRequest, *, before_send: Callable[[], None] = lambda: None
    ) -> Execution:
        """Starts an execution. AMC has no idempotency key: mind `may_have_landed` of the AmcError.

        `before_send` is called right before the request goes out; what it raises is raised, and nothing went.
        """
        answer = await self._transport.call(
            CREATE_EXECUTION,
            "POST",
            _reporting(instance, "workflowExecutions"),
            _ids(instance),
            body=wire.execution_body(request),
            before_send=before_send,
        )
        return read(CREATE_EXECUTION, wire.read_execution, answer)

    async def get_execution(self, instance: Instance, execution_id: str) -> Execution:
        """The execution as it stands. AmcError code `not_found` where it is unknown or not visible."""
        answer = await self._transport.call(
            "get_execution", "GET", _reporting(instance, "workflowExecutions", execution_id), _ids(instance)
        )
        return read("get_execution", wire.read_execution, answer)

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
            answer = await self._transport.call(
                "list_executions",
                "GET",
                _reporting(instance, "workflowExecutions"),
                _ids(instance),
                query=page,
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
        try:
            await self._transport.call(
                "cancel_execution",
                "PUT",
                _reporting(instance, "workflowExecutions", execution_id),
                _ids(instance),
                body={"status": "CANCELLED"},
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
        answer = await self._transport.call(
            "download_urls",
            "GET",
            _reporting(instance, "workflowExecutions", execution_id, "downloadUrls"),
            _ids(instance),
        )
        urls = wire.read_download_urls(answer)
        if not urls:
            raise AmcError("AMC gave no address for the result", kind="transient", code="not_downloadable", status=200)
        return urls

    def download(self, path: Path) -> Download:
        """A result file on its way to `path`; ask it to `take` an address."""
        return Download(self._session, path, timeout=self._timeout)

    async def list_advertisers(self) -> list[Advertiser]:
        """The AMC accounts (`ENTITY…`) that the login may see."""
        return wire.read_advertisers(await self._transport.call("list_advertisers", "GET", ("amc", "accounts"), {}))

    async def list_instances(self) -> list[Instance]:
        """Every instance of every AMC account of the login, all pages."""
        instances: list[Instance] = []
        for advertiser in await self.list_advertisers():
            ids = _advertiser_ids(advertiser.advertiser_id, advertiser.marketplace_id)
            token = ""
            for _ in range(_PAGES):
                query = {"nextToken": token} if token else {}
                answer = await self._transport.call("list_instances", "GET", ("amc", "instances"), ids, query=query)
                found, following = wire.read_instances(answer, advertiser)
                instances += found
                if not following or following == token:
                    break
                token = following
        return instances


def _reporting(instance: Instance, *rest: str) -> tuple[str, ...]:
    return ("amc", "reporting", instance.instance_id, *rest)


def _ids(instance: Instance) -> dict[str, str]:
    return _advertiser_ids(instance.advertiser_id, instance.marketplace_id)


def _advertiser_ids(advertiser_id: str, marketplace_id: str) -> dict[str, str]:
    return {
        "Amazon-Advertising-API-AdvertiserId": advertiser_id,
        "Amazon-Advertising-API-MarketplaceId": marketplace_id,
    }
