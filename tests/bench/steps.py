"""A step of the builder posted over HTTP: parameters, for a draft of its own each time, over 64 connections.

Beside it two handlers on the same server: one decodes the same body and answers, which is what the server itself takes;
one decodes it and inserts a row over a pool, which is what a service without a log like ours does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from events.append import AppendRequest, Write
from events.configurations import ParametersStep
from events.envelope import NewEvent, new_id, stream_of
from events.types.instance import InstanceAdded
from events.types.report import ReportCreated
from events.types.workflow import WorkflowCreated
from service.auth.caller import LOCAL
from service.bootstrap import Program, running
from service.roles import Role
from service.server import serving
from service.settings import Settings
from tests.bench import sample
from tests.bench.lines import alone, beside
from tests.bench.log_copy import COLUMNS, create_log_copy
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.posting import Posted, post
from tests.bench.rounds import in_turns
from tests.postgres import Database

CONNECTIONS = 64
WARM_UP = 1.0
MOST = 15_000
"""Requests a second for which drafts are made; nothing here is as fast."""

OURS = "POST /api/reports/{id}/parameters"
DECODES = "a handler that only decodes and answers"
INSERTS = "a handler with one INSERT over a pool"

WORKFLOW = "reach-and-frequency"
INSTANCE = "amcinstance1"
BODY = {
    "workflow_id": WORKFLOW,
    "instance_id": INSTANCE,
    "timezone": "UTC",
    "parameters": {},
    "lookback_config": {"type": "relative", "value": 52, "unit": "weeks"},
}
TABLE = "handler_log"
INSERT = (
    f"INSERT INTO {TABLE} ({COLUMNS}) VALUES"
    f" (nextval('{TABLE}_position'), $1, $2, 1, 'report.parameters_set', 1, 'local', $3, $4, 'parameters', $5, '{{}}',"
    " clock_timestamp())"
)
API: tuple[Role, ...] = ("api",)


async def run(place: Place) -> Outcome:
    async with place.server.fresh_database() as database:
        folder = place.folder / "steps"
        folder.mkdir()
        body = folder / "body.json"
        body.write_bytes(msgspec.json.encode(BODY))
        settings = Settings(
            data_dir=folder, database_url=database.service_url, port=0, rate_writes=0, rate_reads=0, log_level="warning"
        )
        async with running(settings, API) as program:
            bench = _Steps(place, database, program, body)
            await bench.prepare()
            found = await in_turns(
                "steps", {OURS: bench.ours, DECODES: bench.decoding, INSERTS: bench.inserting}, place.rounds
            )
    scenario = f"step over HTTP, {CONNECTIONS} connections"
    rates = {name: [posted.rate for posted in results] for name, results in found.items()}
    return Outcome(
        [
            *(
                beside(scenario, "requests", "/s", rates[OURS], other, rates[other], better="more", target=target)
                for other, target in ((DECODES, 0.6), (INSERTS, 2.0))
            ),
            *(
                alone(scenario, f"p{percent}", "ms", [each.percentile(percent) for each in found[OURS]], better="less")
                for percent in (50, 99)
            ),
        ]
    )


class _Steps:
    """The contenders, each with a server in this process."""

    def __init__(self, place: Place, database: Database, program: Program, body: Path) -> None:
        self._profiler = place.profiler
        self._database = database
        self._program = program
        self._body = body
        self._paths = body.with_name("paths.txt")
        self._seconds = 1.0 if place.quick else 2.0

    async def prepare(self) -> None:
        """What the step names, and the table of the handler that inserts."""
        await create_log_copy(self._database, TABLE)
        for stream, data in (
            (stream_of("workflow", WORKFLOW), WorkflowCreated("Reach", "SELECT 1 AS reach FROM display")),
            (stream_of("instance", INSTANCE), InstanceAdded("Sandbox", "ENTITY1", "ATVPDKIKX0DER", "UTC")),
        ):
            await self._program.writer.append(_request(stream, data))

    async def ours(self) -> Posted:
        reports = [new_id() for _ in range(int(MOST * (WARM_UP + self._seconds)))]
        writer = self._program.writer
        for first in range(0, len(reports), 1000):
            await asyncio.gather(
                *(
                    writer.append(_request(stream_of("report", report), ReportCreated("Reach")))
                    for report in reports[first : first + 1000]
                )
            )
        self._paths.write_text("\n".join(f"/api/reports/{report}/parameters" for report in reports))
        assert self._program.api_url is not None
        before = await self._count("report_builder_audit WHERE event_type = 'report.parameters_set'")
        with self._profiler.processes("steps", os.getpid()):
            posted = await self._post(self._program.api_url)
        await self._check(posted, before, "report_builder_audit WHERE event_type = 'report.parameters_set'")
        return posted

    async def decoding(self) -> Posted:
        async def handle(request: Request) -> Response:
            step = _DECODER.decode(await request.body())
            return Response(msgspec.json.encode({"workflow_id": step.workflow_id}), media_type="application/json")

        return await self._serve(handle)

    async def inserting(self) -> Posted:
        pool = await asyncpg.create_pool(self._database.admin_url, min_size=10, max_size=10)

        async def handle(request: Request) -> Response:
            body = await request.body()
            step = _DECODER.decode(body)
            await pool.execute(INSERT, new_id(), sample.new_stream(), LOCAL.user_id, step.workflow_id, body.decode())
            return Response(msgspec.json.encode({"workflow_id": step.workflow_id}), media_type="application/json")

        before = await self._count(TABLE)
        try:
            posted = await self._serve(handle)
        finally:
            await pool.close()
        await self._check(posted, before, TABLE)
        return posted

    async def _serve(self, handle: Callable[[Request], Awaitable[Response]]) -> Posted:
        app = Starlette(routes=[Route("/api/reports/{report_id}/parameters", handle, methods=["POST"])])
        async with serving(app, "127.0.0.1", 0, grace=1) as url:
            return await self._post(url)

    async def _post(self, url: str) -> Posted:
        posted = await post(url, self._body, self._paths, CONNECTIONS, WARM_UP, self._seconds)
        if posted.refused:
            raise WrongRows(f"a step was refused: {posted.refused}")
        return posted

    async def _check(self, posted: Posted, before: int, what: str) -> None:
        if (after := await self._count(what)) != before + posted.answered:
            raise WrongRows(f"{posted.answered} steps were answered, but {after - before} rows are in {what}")

    async def _count(self, what: str) -> int:
        connection = await asyncpg.connect(self._database.admin_url)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {what}"))
        finally:
            await connection.close()


_DECODER = msgspec.json.Decoder(ParametersStep)


def _request(stream: str, data: msgspec.Struct) -> AppendRequest:
    event = NewEvent(data=data, team_id=LOCAL.team_id, user_id=LOCAL.user_id)
    return AppendRequest((Write(stream, "none", (event,)),))
