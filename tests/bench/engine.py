"""Ours: segments through admission, RabbitMQ and two workers, against a sandbox that answers at once.

A segment is three messages (submit, poll, fetch) and five events, and its result is downloaded, converted and stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import aiohttp
import asyncpg

from db.pool import open_pool
from tests.backfill import Seed
from tests.bench.measuring import WrongRows
from tests.bench.processor import processor_seconds
from tests.deployment import Deployment, free_port, write_days
from tests.postgres import Database

WORKERS = 2
SLOTS = 48
"""Segments at work at once: enough that what is measured is never the wait for an answer."""

COLLECTIONS = 4
WARM_UP = 40
MESSAGES = 3

LAST = date(2026, 1, 31)
SETTINGS = {
    "REPORT_BUILDER_AMC_POLL_DELAYS": "0",
    "REPORT_BUILDER_AMC_REQUESTS_PER_SECOND": "1000000",
    "REPORT_BUILDER_AMC_TIMEOUT": "30",
    "REPORT_BUILDER_LEASE_MARGIN": "60",
    "REPORT_BUILDER_ADMISSION_INTERVAL": "1",
    "REPORT_BUILDER_WORKER_CONCURRENCY": "32",
    "REPORT_BUILDER_LOG_LEVEL": "warning",
}
COMPLETED = "SELECT count(*) FROM report_builder_audit WHERE event_type = 'segment.completed'"


@asynccontextmanager
async def engine(database: Database, amqp_url: str, folder: Path) -> AsyncIterator[Deployment]:
    """Admission with the projector, the workers and a sandbox, each a process, ready for work."""
    settings = {**SETTINGS, "REPORT_BUILDER_DATABASE_URL": database.service_url, "REPORT_BUILDER_AMQP_URL": amqp_url}
    deployment = Deployment(folder, {**settings, "REPORT_BUILDER_AMQP_PREFIX": database.name})
    ports = []
    try:
        await start_sandbox(deployment, folder)
        for roles in ("admission,projector", *["worker"] * WORKERS):
            ports.append(free_port())
            deployment.start("run", "--roles", roles, environment={"REPORT_BUILDER_METRICS_PORT": str(ports[-1])})
        async with aiohttp.ClientSession() as http:
            for port in ports:
                await _ready(http, f"http://127.0.0.1:{port}/readyz")
        yield deployment
    finally:
        deployment.stop()


async def start_sandbox(deployment: Deployment, folder: Path) -> None:
    """A sandbox that answers at once, however much is asked of it."""
    table = folder / "numbers.csv"
    write_days(table, LAST, LAST)
    deployment.start_sandbox(table, "--max-concurrent", "1000", "--requests-per-second", "1000000")
    async with aiohttp.ClientSession() as http:
        await _ready(http, f"{deployment.sandbox_url}/sandbox/stats")


async def _ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


class Segments:
    """The engine at work over one database, once it has warmed up."""

    messages = MESSAGES

    def __init__(self, database: Database, deployment: Deployment, seed: Seed) -> None:
        self._database = database
        self._deployment = deployment
        self._seed = seed
        self._count = 0

    async def run(self, count: int) -> float:
        """Runs so many segments; seconds from their collections' being recorded to the last one's end."""
        begun = time.perf_counter()
        for size in [count // COLLECTIONS] * COLLECTIONS:
            await self._seed.collection(size, parallel_limit=SLOTS, last=LAST)
            self._count += size
        await _completed(self._database, self._count)
        return time.perf_counter() - begun

    @property
    def processes(self) -> list[int]:
        """Admission with the projector, and the workers."""
        return [process.pid for process in self._deployment.running[1:]]

    def sandbox(self) -> float:
        """Seconds that the sandbox has used."""
        return processor_seconds([self._deployment.running[0].pid])

    def processor(self) -> float:
        """Seconds that admission, projector and workers have used, without the sandbox."""
        return processor_seconds(self.processes)

    async def check(self) -> None:
        """Raises WrongRows unless each segment was completed once, with one execution and no second attempt."""
        connection = await asyncpg.connect(self._database.admin_url)
        try:
            rows = await connection.fetch(
                "SELECT event_type, count(*) AS events, count(DISTINCT stream) AS streams FROM report_builder_audit"
                " WHERE stream LIKE 'segment-%' GROUP BY event_type"
            )
        finally:
            await connection.close()
        found = {row["event_type"]: (row["events"], row["streams"]) for row in rows}
        # A poll may find an execution that is just running; else each has these, once.
        found.pop("segment.started", None)
        steps = ("dispatched", "submission_started", "submitted", "executed", "completed")
        if found != {f"segment.{step}": (self._count, self._count) for step in steps}:
            raise WrongRows(f"{self._count} segments should each have been completed once; the log has {found}")


@asynccontextmanager
async def contender(database: Database, amqp_url: str, folder: Path) -> AsyncIterator[Segments]:
    """The engine, warm."""
    async with engine(database, amqp_url, folder) as deployment:
        pool = await open_pool(database.service_url, size=3)
        try:
            seed = Seed(pool)
            await seed.instance(max_concurrent=SLOTS)
            segments = Segments(database, deployment, seed)
            await segments.run(WARM_UP)
            yield segments
        finally:
            await pool.close()


async def _completed(database: Database, count: int) -> None:
    connection = await asyncpg.connect(database.admin_url)
    try:
        async with asyncio.timeout(300):
            while await connection.fetchval(COMPLETED) < count:
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
