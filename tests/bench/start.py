"""From nothing to ready: `report-builder run` with its embedded PostgreSQL, on a folder that it has run on before,
until `/readyz` says so; beside it PostgreSQL alone on the same folder."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import aiohttp

from db.embedded import EmbeddedPostgres
from tests.bench.lines import alone, beside
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.rounds import in_turns
from tests.deployment import Deployment

OURS = "report-builder run"
POSTGRES = "postgres alone"
SECONDS = 3.0
PATIENCE = 60.0


async def run(place: Place) -> Outcome:
    folder = place.folder / "start"
    folder.mkdir()
    deployment = Deployment(folder)
    await _ready(deployment)  # makes the database
    contenders = {OURS: partial(_ready, deployment), POSTGRES: partial(_postgres, deployment)}
    found = await in_turns("start", contenders, place.rounds, "{:.2f} s".format)
    line = beside("start, embedded and warm", "to ready", "s", found[OURS], POSTGRES, found[POSTGRES], better="less")
    seconds = alone("start, embedded and warm", "to ready", "s", found[OURS], better="less", target=SECONDS)
    return Outcome([seconds, line])


async def _ready(deployment: Deployment) -> float:
    """Seconds to the first 200; the process and its server have ended when this is over."""
    begun = time.perf_counter()
    process = deployment.start("run")
    try:
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"{deployment.url}/readyz") as answer:
                        if answer.status == 200:
                            return time.perf_counter() - begun
                except aiohttp.ClientError:
                    pass
                if process.poll() is not None or time.perf_counter() - begun > PATIENCE:
                    raise WrongRows(f"it did not become ready: {deployment.output()}")
                await asyncio.sleep(0.01)
    finally:
        await asyncio.to_thread(deployment.stop)


async def _postgres(deployment: Deployment) -> float:
    postgres = EmbeddedPostgres(deployment.folder / "data" / "postgres")
    begun = time.perf_counter()
    await postgres.start()
    seconds = time.perf_counter() - begun
    await postgres.stop()
    return seconds
