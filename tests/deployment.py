"""The program as an operator runs it: real processes, which a test may kill at any moment."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

ROOT = Path(__file__).parents[1]

# Fast where the tests wait: polls at once, leases short enough that a killed worker's segments go on soon.
FAST = {
    "REPORT_BUILDER_AMC_POLL_DELAYS": "0,0.1,0.1,0.5",
    "REPORT_BUILDER_AMC_REQUESTS_PER_SECOND": "1000",
    "REPORT_BUILDER_AMC_TIMEOUT": "3",
    "REPORT_BUILDER_LEASE_MARGIN": "5",
    "REPORT_BUILDER_RETRY_BASE": "0.2",
    "REPORT_BUILDER_ADMISSION_INTERVAL": "0.2",
    "REPORT_BUILDER_AMC_CLIENT_ID": "amzn1.application-oa2-client.test",
    "REPORT_BUILDER_AMC_CLIENT_SECRET": "secret",
    "REPORT_BUILDER_AMC_REFRESH_TOKEN": "Atzr|test",
    "REPORT_BUILDER_SECRET_KEY": "YSBrZXkgb2YgdGVzdHMsIDMyIGJ5dGVzIG9mIGl0ISE=",
}

INSTANCE_ID = "amcsandbox1"
SQL = "SELECT date, SUM(value) AS value FROM numbers GROUP BY date"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Deployment:
    """A sandbox and any number of `report-builder run` processes over one data folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port, self.sandbox_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"
        self.queues = f"of-{folder.name}"
        """Begins the names of its queues, where it has a broker."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")},
            **FAST,
            "REPORT_BUILDER_DATA_DIR": str(folder / "data"),
            "REPORT_BUILDER_AMQP_PREFIX": self.queues,
            "REPORT_BUILDER_PORT": str(self.port),
            "REPORT_BUILDER_AMC_BASE_URL": self.sandbox_url,
            "REPORT_BUILDER_AMC_TOKEN_URL": f"{self.sandbox_url}/auth/o2/token",
            "PYTHONPATH": str(ROOT),
            **(environment or {}),
        }

    @property
    def environment(self) -> dict[str, str]:
        """That of its processes, for a command that speaks to them."""
        return {**self._environment, "REPORT_BUILDER_API_URL": self.url}

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, memory: int | None = None
    ) -> subprocess.Popen[bytes]:
        """`report-builder` with these arguments, its output in a file of the folder. `memory`: the bytes of data that
        the kernel lets it have."""
        return self.start_python("-m", "service", *arguments, environment=environment, memory=memory)

    def start_python(
        self, *arguments: str, environment: Mapping[str, str] | None = None, memory: int | None = None
    ) -> subprocess.Popen[bytes]:
        """The same for a program of a test's own."""

        def limit() -> None:
            if memory is not None:
                resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

        with (self.folder / "output.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env={**self._environment, **(environment or {})},
                cwd=self.folder,
                stdout=output,
                stderr=output,
                preexec_fn=limit,
            )
        self._processes.append(process)
        return process

    def start_sandbox(self, table: Path, *options: str) -> subprocess.Popen[bytes]:
        """The sandbox with a table `numbers`; what it has run outlives it, as at Amazon."""
        return self.start(
            "amc-sandbox", "--port", str(self.sandbox_port), "--table", f"numbers={table}", "--no-generated",
            "--state-dir", str(self.folder / "sandbox"), *options,
        )  # fmt: skip

    @property
    def running(self) -> list[subprocess.Popen[bytes]]:
        """The processes, in the order in which they were started."""
        return list(self._processes)

    def kill_everything(self) -> None:
        """SIGKILL to every process at once, the embedded PostgreSQL among them."""
        victims = [process.pid for process in self._processes if process.poll() is None]
        with suppress(FileNotFoundError):
            postmaster = (self.folder / "data" / "postgres" / "postmaster.pid").read_text()
            victims.append(int(postmaster.split()[0]))
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait(10)
        self._processes.clear()

    def stop(self) -> None:
        """Ends what still runs, first kindly."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def output(self) -> str:
        """The last of what the processes said, for a failing test's message."""
        return (self.folder / "output.log").read_text(errors="replace")[-6000:]


def write_numbers(path: Path, days: int) -> tuple[date, date]:
    """A table of one row a day, `value` 1, 2, 3 …, up to yesterday (UTC); answers the first and last day."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=days - 1)
    lines = [f"{first + timedelta(days=number)},{number + 1}" for number in range(days)]
    path.write_text("\n".join(["date,value", *lines]) + "\n")
    return first, last


def write_days(path: Path, first: date, last: date) -> None:
    """A table of one row a day, from the first to the last, `value` being the day's ordinal."""
    ordinals = range(first.toordinal(), last.toordinal() + 1)
    path.write_text("".join(["date,value\n", *(f"{date.fromordinal(each)},{each}\n" for each in ordinals)]))


class Api:
    """A client of the API, and of the sandbox's counters."""

    def __init__(self, http: aiohttp.ClientSession, deployment: Deployment) -> None:
        self.http = http
        self.deployment = deployment

    async def get(self, path: str, **query: Any) -> Any:
        async with self.http.get(self.deployment.url + path, params=query) as response:
            assert response.status < 400, await response.text()
            return msgspec.json.decode(await response.read())

    async def post(self, path: str, body: Any) -> Any:
        async with self.http.post(self.deployment.url + path, json=body) as response:
            assert response.status < 400, await response.text()
            return msgspec.json.decode(await response.read())

    async def sandbox_stats(self) -> Any:
        async with self.http.get(f"{self.deployment.sandbox_url}/sandbox/stats") as response:
            return msgspec.json.decode(await response.read())

    async def until(self, what: str, check: Callable[[], Awaitable[Any]], *, seconds: float) -> Any:
        """Asks until the answer is true; one that cannot be had counts as not yet."""
        deadline = time.monotonic() + seconds
        answer: Any = None
        while time.monotonic() < deadline:
            with suppress(aiohttp.ClientError, AssertionError, TimeoutError):
                if answer := await check():
                    return answer
            await asyncio.sleep(0.1)
        raise AssertionError(f"not {what} within {seconds} s; last: {answer}\n{self.deployment.output()}")

    async def ready(self, seconds: float = 90) -> None:
        await self.until("ready", lambda: self.get("/readyz"), seconds=seconds)
        await self.until("sandbox up", self.sandbox_stats, seconds=seconds)

    async def workflow(self, sql: str = SQL) -> str:
        """The sandbox as an instance, where it is not one yet, and a workflow that sums `numbers` by day."""
        instance = {
            "instance_id": INSTANCE_ID, "name": "Sandbox", "advertiser_id": "ENTITYSANDBOX1",
            "marketplace_id": "ATVPDKIKX0DER", "time_zone": "UTC",
        }  # fmt: skip
        async with self.http.post(f"{self.deployment.url}/api/instances", json=instance) as response:
            assert response.status in (201, 409), await response.text()
        workflow = await self.post("/api/workflows", {"name": "Values", "sql_query": sql})
        return str(workflow["workflow_id"])

    async def items(self, path: str, **query: Any) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await self.get(path, **query, limit=200, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            if not (cursor := page["next_cursor"]):
                return found

    async def submit_backfill(
        self, first: date, last: date, *, segmentation: str = "daily", parallel_limit: int = 10, sql: str = SQL
    ) -> str:
        """All four steps; answers the collection."""
        workflow_id = await self.workflow(sql)
        report = await self.post("/api/reports", {"name": "Values"})
        path = f"/api/reports/{report['report_id']}"
        window = {"type": "custom", "startDate": first.isoformat(), "endDate": last.isoformat()}
        await self.post(
            f"{path}/parameters",
            {"instance_id": INSTANCE_ID, "workflow_id": workflow_id, "lookback_config": window},
        )
        history = {
            "lookback_config": window,
            "segmentation_config": {"type": segmentation, "parallel_limit": parallel_limit},
        }
        await self.post(f"{path}/schedule", {"schedule_type": "backfill", "backfill_config": history})
        review = await self.post(f"{path}/review", {})
        submitted = await self.post(f"{path}/submit", {"digest": review["digest"]})
        return str(submitted["collection_id"])

    async def completed(self, collection_id: str, at_least: int, *, seconds: float) -> None:
        """Waits until so many segments are completed."""

        async def check() -> bool:
            collection = await self.get(f"/api/data-collections/{collection_id}")
            return bool(collection["segments_completed"] >= at_least)

        await self.until(f"{at_least} segments completed", check, seconds=seconds)

    async def finished(self, collection_id: str, *, seconds: float) -> Any:
        """Waits for the collection's end; answers it."""

        async def check() -> Any:
            collection = await self.get(f"/api/data-collections/{collection_id}")
            return collection if collection["finished_at"] else None

        return await self.until("finished", check, seconds=seconds)

    async def assert_exact(self, collection_id: str, days: int) -> None:
        """Every segment completed once, one execution each at AMC, none of which is another's or nobody's, and every
        row read back. Collections that came before it are held to the same."""
        collection = await self.get(f"/api/data-collections/{collection_id}")
        assert collection["backfill_status"] == "completed"
        rows = await self.get(f"/api/data-collections/{collection_id}/results", format="json")
        assert sorted(row["value"] for row in rows) == list(range(1, days + 1))

        completions: list[str] = []
        executions: list[str] = []
        total = after = 0
        while (page := await self.get("/api/events", after=after, limit=1000))["events"]:
            after = page["next_after"]
            for event in page["events"]:
                if event["type"] == "segment.completed":
                    completions.append(event["subject"])
                if event["type"] == "segment.submitted":
                    executions.append(event["data"]["execution_id"])
                if event["type"] == "collection.created":
                    total += len(event["data"]["segments"])
        assert len(completions) == len(set(completions)) == total
        assert len(executions) == len(set(executions)) == total
        stats = await self.sandbox_stats()
        assert stats["duplicates"] == 0, stats
        assert stats["created"] == total, stats
