"""What a segment comes to where nobody orders it: the same calls to AMC, the same file, the same five events, one after
the other in one process. No queue, no lease, no admission, no read model; and a crash would lose its place.

What the engine takes beyond this is what its own ways cost; what this takes, no way of ordering the work can save.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from db.pool import open_pool
from events.append import AppendRequest, Write
from events.envelope import NewEvent, new_id, stream_of
from events.types.segment import Completed, Dispatched, Executed, ResultColumn, SubmissionStarted, Submitted
from events.writer import AppendWriter
from service.amc.client import AmcClient
from service.amc.declared import amc_workflow
from service.amc.errors import AmcError
from service.amc.models import Account, ExecutionRequest, Instance
from service.amc.pace import Place
from service.results.convert import csv_to_parquet
from service.results.folder_store import FolderStore
from tests.backfill import TEAM, WORKFLOW
from tests.bench import engine
from tests.bench.measuring import WrongRows
from tests.bench.processor import processor_seconds
from tests.deployment import Deployment
from tests.postgres import Database

AT_ONCE = 64
"""Segments at work; as many as the engine's two workers take."""

INSTANCE = Instance(instance_id="amcsandbox1", advertiser_id="ENTITYSANDBOX1", marketplace_id="ATVPDKIKX0DER")
SQL = "SELECT date, SUM(value) AS value FROM numbers GROUP BY date"


class NoPace:
    """Every call goes at once."""

    async def take(self, instance_id: str | None, *, again: bool = False) -> Place:
        return Place(instance_id, datetime.now(UTC), watched=False)

    async def end(self, place: Place, error: AmcError | None) -> None:
        pass


class Straight:
    """One process that does segments' own work."""

    messages = engine.MESSAGES
    """What the engine sends for as much."""

    processes: tuple[int, ...] = ()

    def __init__(
        self, database: Database, deployment: Deployment, amc: AmcClient, writer: AppendWriter, store: FolderStore
    ) -> None:
        self._database = database
        self._deployment = deployment
        self._amc = amc
        self._writer = writer
        self._store = store
        self._workflow = amc_workflow(SQL, ())
        self._collection_id = new_id()
        self._count = 0

    async def prepare(self) -> None:
        await self._amc.put_workflow(INSTANCE, self._workflow)

    async def run(self, count: int) -> float:
        begun = time.perf_counter()
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with slots:
                await self._segment(number)

        await asyncio.gather(*(one(number) for number in range(count)))
        self._count += count
        return time.perf_counter() - begun

    def processor(self) -> float:
        return time.process_time()

    def sandbox(self) -> float:
        return processor_seconds([self._deployment.running[0].pid])

    async def check(self) -> None:
        """Raises WrongRows unless each segment has its five events, and its result is in the store."""
        connection = await asyncpg.connect(self._database.admin_url)
        try:
            events = await connection.fetchval("SELECT count(*) FROM report_builder_audit")
            completed = await connection.fetchval(engine.COMPLETED)
        finally:
            await connection.close()
        if (events, completed) != (5 * self._count, self._count):
            raise WrongRows(
                f"{self._count} segments were run straight, but the log has {completed}, in {events} events"
            )

    async def _segment(self, number: int) -> None:
        segment_id, of = new_id(), self._collection_id
        day = engine.LAST - timedelta(days=number)
        request = ExecutionRequest(
            workflow_id=self._workflow.workflow_id,
            window_start=f"{day}T00:00:00",
            window_end=f"{day + timedelta(days=1)}T00:00:00",
        )
        started = SubmissionStarted(of, 1, request.workflow_id, request.window_start, request.window_end, "UTC", {})
        await self._record(segment_id, Dispatched(of, 1, "submit", "admitted"), started)
        execution = await self._amc.create_execution(INSTANCE, request)
        await self._record(segment_id, Submitted(of, execution.execution_id, adopted=False), version=2)
        while execution.status != "SUCCEEDED":
            execution = await self._amc.get_execution(INSTANCE, execution.execution_id)
        columns = tuple(
            ResultColumn(column.name, column.data_type, column.precision, column.scale)
            for column in execution.output_columns
        )
        await self._record(segment_id, Executed(of, execution.execution_id, columns), version=3)
        with self._store.scratch_folder() as folder:
            urls = await self._amc.download_urls(INSTANCE, execution.execution_id)
            download = self._amc.download(Path(folder) / "part-1.csv")
            await download.take(urls[0])
            converted = await csv_to_parquet([download.path], columns, Path(folder) / "result.parquet")
            checksum, size = await self._store.keep(Path(folder) / "result.parquet")
        completed = Completed(of, execution.execution_id, converted.rows, size, checksum, converted.nulls)
        await self._record(segment_id, completed, version=4)

    async def _record(self, segment_id: UUID, *data: msgspec.Struct, version: int = 0) -> None:
        events = tuple(NewEvent(data=each, team_id=TEAM, workflow_id=WORKFLOW) for each in data)
        write = Write(stream_of("segment", segment_id), version or "none", events)
        await self._writer.append(AppendRequest((write,)))


@asynccontextmanager
async def contender(database: Database, amqp_url: str, folder: Path) -> AsyncIterator[Straight]:
    """The same sandbox, and this process, warm. RabbitMQ has nothing to do."""
    deployment = Deployment(folder, {})
    try:
        await engine.start_sandbox(deployment, folder)
        account = Account(
            account_id="default", client_id="any", client_secret="any", refresh_token="any",
            base_url=deployment.sandbox_url, token_url=f"{deployment.sandbox_url}/auth/o2/token",
        )  # fmt: skip
        store = FolderStore(folder / "results")
        store.prepare()
        pool = await open_pool(database.service_url, size=10)
        writer = AppendWriter(pool)
        try:
            async with aiohttp.ClientSession() as session:
                amc = AmcClient(session, account, timeout=30, pace=NoPace())
                straight = Straight(database, deployment, amc, writer, store)
                await straight.prepare()
                await straight.run(engine.WARM_UP)
                yield straight
        finally:
            await writer.close()
            await pool.close()
    finally:
        deployment.stop()
