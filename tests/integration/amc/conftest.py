"""A small table of a real campaign's shape, and clients of a sandbox over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from service.amc.client import AmcClient
from service.amc.errors import AmcError
from service.amc.models import Account, Execution, ExecutionRequest, Instance, Parameter, Workflow, workflow_id
from service.amc.pace import Place
from service.amc.sandbox import RunningSandbox, TableFile

FIRST = date(2025, 1, 1)
DAYS = 120
KEYWORDS = 7
SQL = "SELECT keyword_id, SUM(impressions) AS impressions, SUM(clicks) AS clicks FROM adwords GROUP BY keyword_id"
INSTANCE = Instance(instance_id="amcsandbox1", advertiser_id="ENTITYSANDBOX1", marketplace_id="ATVPDKIKX0DER")


class CountedPace:
    """Lets every call go at once, and keeps what came of them."""

    def __init__(self) -> None:
        self.ended: list[str | None] = []

    async def take(self, instance_id: str | None, *, again: bool = False) -> Place:
        return Place(instance_id, datetime.now(UTC), watched=False)

    async def end(self, place: Place, error: AmcError | None) -> None:
        self.ended.append(error.code if error else None)


class Bench:
    """A client of one sandbox, with the steps that most tests take."""

    def __init__(
        self, client: AmcClient, handle: RunningSandbox, session: aiohttp.ClientSession, pace: CountedPace
    ) -> None:
        self.client = client
        self.handle = handle
        self.session = session
        self.instance = INSTANCE
        self.first = FIRST
        self.days = DAYS
        self.keywords = KEYWORDS
        self.sql = SQL
        self.pace = pace
        self.account = account(handle)

    async def save(self, sql: str = SQL, parameters: tuple[Parameter, ...] = ()) -> str:
        name = workflow_id(sql, parameters)
        await self.client.put_workflow(INSTANCE, Workflow(workflow_id=name, sql=sql, parameters=parameters))
        return name

    def request(self, name: str, first: date = FIRST, days: int = 1, **values: object) -> ExecutionRequest:
        return ExecutionRequest(
            workflow_id=name,
            window_start=f"{first}T00:00:00",
            window_end=f"{first + timedelta(days=days)}T00:00:00",
            time_zone="America/New_York",
            parameter_values=values,  # type: ignore[arg-type]
        )

    async def finish(self, execution: Execution) -> Execution:
        while not execution.finished:
            await asyncio.sleep(0.02)
            execution = await self.client.get_execution(INSTANCE, execution.execution_id)
        return execution

    async def run(self, request: ExecutionRequest) -> Execution:
        return await self.finish(await self.client.create_execution(INSTANCE, request))

    async def rows(self, execution: Execution, folder: Path) -> list[list[str]]:
        """Rows of the result without the header of each file."""
        rows: list[list[str]] = []
        for number, url in enumerate(await self.client.download_urls(INSTANCE, execution.execution_id)):
            path = folder / f"{execution.execution_id}-{number}.csv"
            await self.download(url, path)
            rows += [line.split(",") for line in path.read_text().split("\n")[1:-1]]
        return rows

    async def download(self, url: str, path: Path) -> int:
        """Bytes of the file."""
        download = self.client.download(path)
        await download.take(url)
        return download.written

    async def faults(self, **faults: object) -> None:
        async with self.session.put(f"{self.handle.base_url}/sandbox/faults", json=faults) as answer:
            assert answer.status == 200, await answer.text()

    async def stats(self) -> dict[str, object]:
        async with self.session.get(f"{self.handle.base_url}/sandbox/stats") as answer:
            stats: dict[str, object] = await answer.json()
            return stats


def account(handle: RunningSandbox) -> Account:
    return Account(
        account_id="test",
        client_id="amzn1.application-oa2-client.test",
        client_secret="a secret of the client",
        refresh_token="Atzr|a-refresh-token",
        base_url=handle.base_url,
        token_url=handle.token_url,
    )


Connect = Callable[[RunningSandbox], Awaitable[Bench]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with aiohttp.ClientSession() as session:

        async def connected(handle: RunningSandbox) -> Bench:
            pace = CountedPace()
            client = AmcClient(session, account(handle), timeout=5, pace=pace)
            return Bench(client, handle, session, pace)

        yield connected


@pytest.fixture(scope="session")
def adwords(tmp_path_factory: pytest.TempPathFactory) -> TableFile:
    path = tmp_path_factory.mktemp("tables") / "adwords.csv"
    lines = ["date,keyword_id,impressions,clicks"]
    for offset in range(DAYS):
        for keyword in range(KEYWORDS):
            impressions = 1 + (offset * 31 + keyword * 17) % 97
            lines.append(f"{FIRST + timedelta(days=offset)},{keyword},{impressions},{impressions % 5}")
    path.write_text("\n".join(lines) + "\n")
    return TableFile(name="adwords", path=path, date_column="date")


@pytest.fixture(scope="session")
def totals() -> tuple[int, int]:
    cells = [1 + (offset * 31 + keyword * 17) % 97 for offset in range(DAYS) for keyword in range(KEYWORDS)]
    return sum(cells), sum(cell % 5 for cell in cells)
