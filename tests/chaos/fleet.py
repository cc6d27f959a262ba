"""A deployment spread over processes, with a PostgreSQL of its own, over which a test runs one backfill after another
while it breaks what they stand on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.deployment import SQL, Api, Deployment, write_numbers
from tests.postgres import OwnServer

LONG = os.environ.get("TEST_LENGTH") == "long"
DAYS = 300 if LONG else 40
AT_ONCE = 6
PATIENCE = 300 if LONG else 90
ROLES = (
    ("api", "projector", "admission", "admission", "worker", "worker")
    if LONG
    else ("api,projector", "admission", "worker", "worker")
)


class Fleet:
    """The processes, the sandbox and the database; each backfill has SQL of its own, so that none reuses results."""

    def __init__(self, folder: Path, postgres: OwnServer, environment: Mapping[str, str]) -> None:
        self.postgres = postgres
        settings = {"REPORT_BUILDER_DATABASE_URL": postgres.service_url, **environment}
        self.deployment = Deployment(folder, settings)
        self._table = folder / "numbers.csv"
        self._first, self._last = write_numbers(self._table, DAYS)

    def start(self, worker: Sequence[str] | None = None) -> dict[str, list[subprocess.Popen[bytes]]]:
        """The sandbox, its executions long enough to be met in the middle, and each role in processes of its own;
        `worker` is a Python program in place of the workers'."""
        self.deployment.start_sandbox(self._table, "--running-seconds", "0.5")
        processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        for role in ROLES:
            if role == "worker" and worker is not None:
                process = self.deployment.start_python(*worker)
            else:
                process = self.deployment.start("run", "--roles", role)
            processes.setdefault(role, []).append(process)
        return processes

    async def backfill(self, http: aiohttp.ClientSession, name: str, *, paused: bool = False) -> Backfill:
        """One segment for each day, at work; or `paused`, when at most one of them is."""
        api = Api(http, self.deployment)
        await api.ready(60)
        collection_id = await api.submit_backfill(
            self._first, self._last, parallel_limit=AT_ONCE, sql=f"{SQL} -- {name}"
        )
        backfill = Backfill(api, collection_id)
        if paused:
            await api.post(f"/api/data-collections/{collection_id}/pause", {})
        return backfill


class Backfill:
    """One of them, on its way."""

    def __init__(self, api: Api, collection_id: str) -> None:
        self.api = api
        self.collection_id = collection_id

    async def completed(self, share: float) -> None:
        """Waits until this share of the segments is completed."""
        await self.api.completed(self.collection_id, int(DAYS * share), seconds=PATIENCE)

    async def resume(self) -> None:
        await self.api.post(f"/api/data-collections/{self.collection_id}/resume", {})

    async def count(self) -> int:
        collection: Any = await self.api.get(f"/api/data-collections/{self.collection_id}")
        return int(collection["segments_completed"])

    async def ends_exact(self) -> None:
        """Completed, with exact rows, nothing run twice or left over, and never more at once than allowed."""
        await self.api.finished(self.collection_id, seconds=PATIENCE)
        await self.api.assert_exact(self.collection_id, DAYS)
        assert (await self.api.sandbox_stats())["max_concurrent_seen"]["overall"] <= AT_ONCE
