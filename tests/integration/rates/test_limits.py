"""Request rates over HTTP: who is counted, what answers say, and what happens to one too many."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest

from db.pool import Pool
from service.auth.caller import LOCAL
from tests.deployment import Deployment, free_port
from tests.postgres import Database
from tests.service import Service, serving, settings_for

OTHER = msgspec.structs.replace(LOCAL, user_id=UUID("00000000-0000-7000-8000-000000000002"))


@pytest.fixture
async def limited(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    """Five reads and three writes in an hour."""
    settings = msgspec.structs.replace(settings_for(database, tmp_path), rate_window=3600, rate_reads=5, rate_writes=3)
    async with serving(settings, ("api",)) as service:
        yield service


async def test_each_answer_says_where_its_caller_stands(limited: Service) -> None:
    for left in (4, 3):
        answer = await limited.get("/api/workflows")
        assert answer.headers["RateLimit-Policy"] == '"reads";q=5;w=3600'
        name, remaining, seconds = answer.headers["RateLimit"].split(";")
        assert (name, remaining) == ('"reads"', f"r={left}")
        assert 3600 <= int(seconds.removeprefix("t=")) <= 3960
    answer = await limited.post("/api/reports", {"nane": "x"})
    assert answer.status == 422, "a refused request counts too"
    assert answer.headers["RateLimit"].startswith('"writes";r=2;')


async def test_one_too_many_is_429_and_says_when_to_come_back(limited: Service) -> None:
    answers = [await limited.post("/api/reports", {"name": "x"}) for _ in range(5)]
    assert [answer.status for answer in answers] == [201, 201, 201, 429, 429]
    refused = answers[-1]
    assert (refused.json["code"], refused.json["violated-policies"]) == ("rate_limited", ["writes"])
    assert refused.headers["RateLimit"] == f'"writes";r=0;t={refused.headers["Retry-After"]}'
    assert (await limited.get("/api/workflows")).status == 200, "reads are counted on their own"


async def test_health_is_never_limited(limited: Service) -> None:
    for _ in range(6):
        answer = await limited.get("/healthz")
        assert answer.status == 200
        assert "RateLimit" not in answer.headers


async def test_one_person_does_not_use_up_what_another_has(limited: Service, become: Any) -> None:
    while (await limited.get("/api/workflows")).status == 200:
        pass
    become(OTHER)
    assert (await limited.get("/api/workflows")).headers["RateLimit"].startswith('"reads";r=4;')


async def test_a_live_stream_counts_once(limited: Service) -> None:
    async with limited.http.get("/api/events/stream") as response:
        assert response.headers["RateLimit"].startswith('"reads";r=4;')
        while b"caught-up" not in await response.content.readline():
            pass
    assert (await limited.get("/api/workflows")).headers["RateLimit"].startswith('"reads";r=3;')


async def test_while_the_database_is_away_nobody_is_served(limited: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("service.rates.bucket.Bucket._take", away)
    answer = await limited.get("/api/events")
    assert (answer.status, answer.json["code"]) == (503, "database_unavailable")
    assert "RateLimit" not in answer.headers


async def test_a_rate_of_nought_is_off(database: Database, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path), rate_reads=0, rate_writes=0)
    async with serving(settings, ("api",)) as service:
        assert "RateLimit" not in (await service.get("/api/workflows")).headers
        assert await service.program.pool.fetchval("SELECT count(*) FROM request_rates") == 0


QUOTA, CLIENTS, EACH = 300, 50, 12


async def test_fifty_clients_of_three_processes_never_exceed_the_rate(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    """One process is killed with -9 in the middle, and comes back: what it had taken is lost, not given twice."""
    deployment = Deployment(
        tmp_path,
        {
            "REPORT_BUILDER_DATABASE_URL": database.service_url,
            "REPORT_BUILDER_DATABASE_POOL_SIZE": "3",
            "REPORT_BUILDER_RATE_WINDOW": "3600",
            "REPORT_BUILDER_RATE_READS": str(QUOTA),
        },
    )
    ports = [free_port() for _ in range(3)]

    def start(port: int) -> subprocess.Popen[bytes]:
        return deployment.start("run", "--roles", "api", environment={"REPORT_BUILDER_PORT": str(port)})

    processes = [start(port) for port in ports]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    answers: list[int] = []
    half = asyncio.Event()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def alive(address: str) -> None:
            async with asyncio.timeout(60):
                while True:
                    try:
                        async with http.get(f"{address}/healthz"):
                            return
                    except aiohttp.ClientError:
                        await asyncio.sleep(0.05)

        async def client(number: int) -> None:
            for turn in range(EACH):
                try:
                    async with http.get(f"{addresses[(number + turn) % 3]}/api/workflows") as response:
                        answers.append(response.status)
                        await response.read()
                except aiohttp.ClientError:  # of the one that was killed
                    continue
                if len(answers) >= QUOTA // 2:
                    half.set()

        async def kill_one() -> None:
            await half.wait()
            processes[0].kill()
            processes[0].wait()
            start(ports[0])
            await alive(addresses[0])

        try:
            await asyncio.gather(*map(alive, addresses))
            await asyncio.gather(kill_one(), *(client(number) for number in range(CLIENTS)))
            # Whoever still holds some gives them out now; nobody has more.
            for address in addresses:
                status = 200
                while status == 200:
                    async with http.get(f"{address}/api/workflows") as response:
                        answers.append(status := response.status)
        finally:
            deployment.stop()
    assert answers.count(200) <= QUOTA
    assert set(answers) == {200, 429}
    assert await pool.fetchval("SELECT sum(c) FROM request_rates, unnest(counts) AS c") == QUOTA
