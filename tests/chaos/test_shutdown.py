"""SIGTERM in the middle of each role's work: what is under way ends, or is handed back for others to go on at once,
and the process ends with exit code 0; a second signal ends it there and then."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest

from db.pool import Pool
from service.backfill.broker import create_broker
from service.clock import set_clock
from tests.deployment import INSTANCE_ID, Api, Deployment, free_port, write_numbers
from tests.postgres import Database
from tests.rabbitmq import RabbitNode

GRACE = 1
DAYS = 6

# Calls that hang outlast the grace time; leases outlast the test, so that whatever goes on was handed back.
SETTINGS = {
    "REPORT_BUILDER_SHUTDOWN_GRACE": str(GRACE),
    "REPORT_BUILDER_AMC_TIMEOUT": "6",
    "REPORT_BUILDER_LEASE_MARGIN": "300",
}
HANGING_CREATES = """
SELECT count(*) FROM segment_leases l
 WHERE (SELECT a.event_type FROM report_builder_audit a WHERE a.stream = 'segment-' || l.segment_id
         ORDER BY a.stream_version DESC LIMIT 1) = 'segment.submission_started'
"""
Process = subprocess.Popen[bytes]


class Site:
    """A deployment whose processes each have a port for health."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession, pool: Pool, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.http = http
        self.pool = pool
        self.deployment = Deployment(folder, settings)
        self.api = Api(http, self.deployment)
        self._health: dict[int, str] = {}

    def start(self, role: str, **settings: str) -> Process:
        """`run` with the role, its settings without our prefix."""
        port = free_port()
        environment = {f"REPORT_BUILDER_{name}": value for name, value in settings.items()}
        process = self.deployment.start(
            "run", "--roles", role, environment={"REPORT_BUILDER_METRICS_PORT": str(port), **environment}
        )
        self._health[process.pid] = f"http://127.0.0.1:{port}"
        return process

    async def readiness(self, process: Process) -> Any:
        async with self.http.get(f"{self._health[process.pid]}/readyz") as answer:
            return msgspec.json.decode(await answer.read())

    async def ready(self, *processes: Process) -> None:
        for process in processes:

            async def check(process: Process = process) -> bool:
                return bool((await self.readiness(process))["status"] == "ready")

            await self.api.until("ready", check, seconds=30)

    async def says_that_it_leaves(self, process: Process) -> None:
        async def check() -> bool:
            return bool((await self.readiness(process))["problems"].get("process") == "shutting down")

        await self.api.until("on its way out", check, seconds=10)

    async def counted(self, what: str, sql: str, at_least: int = 1) -> None:
        """Waits until the query answers as much."""

        async def check() -> bool:
            return bool(await self.pool.fetchval(sql) >= at_least)

        await self.api.until(what, check, seconds=30)

    async def ended(self, process: Process) -> int:
        """The exit code, which must come within the grace time and what handing back may take."""
        return await asyncio.to_thread(process.wait, GRACE + 20)


@pytest.fixture
async def site(server_folder: Path, database: Database, pool: Pool) -> AsyncIterator[Site]:
    settings = {**SETTINGS, "REPORT_BUILDER_DATABASE_URL": database.service_url}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        site = Site(server_folder, http, pool, settings)
        yield site
        site.deployment.stop()


@pytest.mark.rabbitmq
async def test_a_worker_whose_calls_hang_hands_its_steps_back_at_once(site: Site, rabbit: RabbitNode) -> None:
    broker = {"AMQP_URL": rabbit.url, "AMQP_PREFIX": "shutdown-worker"}
    first, last = write_numbers(site.folder / "numbers.csv", DAYS)
    sandbox = site.deployment.start_sandbox(site.folder / "numbers.csv")
    site.start("api,projector")
    await site.api.ready()
    worker = site.start("worker", **broker)
    await site.ready(worker, site.start("admission", **broker))
    # Once it has run one, it knows all that comes before a create.
    known = await site.api.submit_backfill(first, first)
    await site.api.finished(known, seconds=30)
    sandbox.send_signal(signal.SIGSTOP)
    try:
        collection_id = await site.api.submit_backfill(first + timedelta(days=1), last)
        await site.counted("a create that hangs", HANGING_CREATES)
        worker.terminate()
        await site.says_that_it_leaves(worker)
        assert await site.ended(worker) == 0, site.deployment.output()
    finally:
        sandbox.send_signal(signal.SIGCONT)
    site.start("worker", **broker)
    collection = await site.api.finished(collection_id, seconds=60)
    assert collection["backfill_status"] == "completed"
    stats = await site.api.sandbox_stats()
    assert (stats["created"], stats["duplicates"]) == (DAYS, 0)
    assert not await site.pool.fetchval(
        "SELECT count(*) FROM report_builder_audit"
        " WHERE event_type = 'segment.dispatched' AND configuration ->> 'reason' = 'lease_expired'"
    )


@pytest.mark.rabbitmq
async def test_admission_publishes_what_it_is_admitting_before_it_ends(
    site: Site, rabbit: RabbitNode, database: Database
) -> None:
    first, last = write_numbers(site.folder / "numbers.csv", DAYS)
    site.start("api,projector")
    site.deployment.start_sandbox(site.folder / "numbers.csv")
    await site.api.ready()
    broker_of_its_own = {"AMQP_URL": rabbit.url, "AMQP_PREFIX": "shutdown-admission"}
    admission = site.start("admission", SHUTDOWN_GRACE="60", **broker_of_its_own)
    await site.ready(admission)
    connection = await asyncpg.connect(database.admin_url)
    try:
        # As another admission would that is at it just now.
        await connection.execute("SELECT pg_advisory_lock(hashtext('admit_segments'))")
        await site.api.submit_backfill(first, last)
        await site.counted("something to admit", "SELECT count(*) FROM report_data_weeks")
        await site.counted("an admission under way", "SELECT count(*) FROM pg_locks WHERE NOT granted")
        admission.terminate()
        await site.says_that_it_leaves(admission)
    finally:
        await connection.close()
    assert await site.ended(admission) == 0, site.deployment.output()
    assert await site.pool.fetchval("SELECT count(*) FROM segment_leases") == 1
    broker = create_broker(rabbit.url, prefix="shutdown-admission")
    await broker.start()
    assert (await broker.depths())["shutdown-admission.work.bulk"] == 1
    await broker.close()


async def test_the_api_says_that_it_leaves_and_answers_what_has_begun(site: Site) -> None:
    api = site.start("api", SHUTDOWN_DELAY="1", SHUTDOWN_GRACE="60")
    projector = site.start("projector")
    await site.ready(api, projector)
    begun = await _Slow.begin(site.deployment.port)
    async with site.http.get(f"{site.deployment.url}/api/events/stream", timeout=aiohttp.ClientTimeout()) as stream:
        assert stream.status == 200
        await stream.content.readany()
        api.terminate()
        await site.says_that_it_leaves(api)
        # Balancers ask the API itself, and until they have turned away requests come in.
        async with site.http.get(f"{site.deployment.url}/readyz") as ready:
            assert ready.status == 503
        assert (await site.api.post("/api/reports", {"name": "late"}))["report_id"]
        while await stream.content.readany():
            pass  # to its end, which is none of a broken connection

    async def refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", site.deployment.port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await site.api.until("deaf", refused, seconds=10)
    assert api.poll() is None
    assert (await begun.end()).startswith("HTTP/1.1 201 ")
    assert await site.ended(api) == 0, site.deployment.output()
    projector.terminate()
    assert await site.ended(projector) == 0, site.deployment.output()


async def test_a_scheduler_ends_between_decisions_and_the_next_one_goes_on(site: Site) -> None:
    schedules = 20
    clock = {"SETTABLE_CLOCK": "true"}
    await set_clock(site.pool, datetime(2026, 3, 2, 12, tzinfo=UTC), 0.000001)
    site.start("api,projector", **clock)
    site.deployment.start_sandbox(_one_row(site.folder))
    await site.api.ready()
    workflow_id = await site.api.workflow()
    for minute in range(schedules):
        config = {"frequency": "daily", "time": f"02:{minute:02}", "timezone": "UTC", "endDate": "2026-03-03"}
        await site.api.post(
            "/api/schedules",
            {"name": "Values", "instance_id": INSTANCE_ID, "workflow_id": workflow_id, "timezone": "UTC",
             "lookback_config": {"type": "relative", "value": 7, "unit": "days"}, "schedule_config": config},
        )  # fmt: skip
    await set_clock(site.pool, datetime(2026, 3, 3, 2, 30, tzinfo=UTC), 0.000001)
    started = "SELECT count(*) FROM report_builder_audit WHERE event_type = 'schedule.run_started'"
    scheduler = site.start("scheduler", **clock)
    await site.counted("a run started", started)
    scheduler.terminate()
    assert await site.ended(scheduler) == 0, site.deployment.output()
    site.start("scheduler", **clock)
    await site.counted("every run started", started, schedules)
    await site.counted(
        "every schedule ended",
        "SELECT count(*) FROM report_builder_audit WHERE event_type = 'schedule.ended'",
        schedules,
    )
    assert await site.pool.fetchval(started) == schedules
    assert (
        await site.pool.fetchval("SELECT count(*) FROM report_builder_audit WHERE event_type = 'collection.created'")
        == schedules
    )


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_process_at_once(site: Site, second: signal.Signals) -> None:
    api = site.start("api", SHUTDOWN_GRACE="600")
    await site.ready(api)
    begun = await _Slow.begin(site.deployment.port)
    api.terminate()
    await site.says_that_it_leaves(api)
    api.send_signal(second)
    assert await site.ended(api) == -second
    begun.close()


class _Slow:
    """A request whose body has not come yet."""

    HEAD = "POST /api/reports HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def begin(cls, port: int) -> _Slow:
        """Sends all but the body's last byte."""
        slow = cls(*await asyncio.open_connection("127.0.0.1", port))
        slow._writer.write(f'{cls.HEAD}{{"name":"slow"'.encode())
        await slow._writer.drain()
        return slow

    async def end(self) -> str:
        """Sends it; answers the status line."""
        self._writer.write(b"}")
        await self._writer.drain()
        status = (await self._reader.readline()).decode()
        self.close()
        return status

    def close(self) -> None:
        self._writer.close()


def _one_row(folder: Path) -> Path:
    write_numbers(folder / "numbers.csv", 1)
    return folder / "numbers.csv"
