"""The service in this process, over a real database and a sandbox, and a client of its HTTP API."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import RunningSandbox, running_sandbox
from service.auth.own_key import OwnKey, own_claims, own_key_file
from service.bootstrap import Program, running
from service.roles import ROLES, Role
from service.settings import Settings
from tests.deployment import INSTANCE_ID as INSTANCE_ID
from tests.deployment import write_numbers
from tests.postgres import Database, Server
from tests.published import hold_to_schemas

DAYS = 60
SQL = "SELECT date, SUM(value) AS value FROM numbers GROUP BY date"
INSTANCE = {
    "instance_id": INSTANCE_ID,
    "name": "Sandbox",
    "advertiser_id": "ENTITYSANDBOX1",
    "marketplace_id": "ATVPDKIKX0DER",
    "time_zone": "UTC",
}
WEEK = {"type": "relative", "value": 7, "unit": "days"}
ONCE = {"schedule_type": "once"}
NO_API = "http://127.0.0.1:1"
# A well-formed id that nothing has.
UNKNOWN_ID = "3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90"
SECRET_KEY = base64.b64encode(b"a key of tests, 32 bytes of it!!").decode()
STEPS = ("parameters", "schedule", "review", "submit")


class Answer(msgspec.Struct, frozen=True):
    """What came back; `json` decodes the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def pointers(self) -> list[str]:
        """The fields that a problem names."""
        return [error["pointer"] for error in self.json.get("errors", [])]


class Client:
    """The API as any program uses it."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.authorization: str | None = None

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """`body` as it is where it is bytes, else as JSON; header names with `_` for `-`."""
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("Content-Type", "application/json")
        if self.authorization:
            sent.setdefault("Authorization", self.authorization)
        async with self.http.request(method, path, data=data, headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return await self.send("POST", path, body, **headers)

    async def done(self, path: str, body: object = None, **headers: str) -> Any:
        """Posts what must succeed; answers the JSON."""
        answer = await self.post(path, body, **headers)
        assert answer.status < 300, answer.body
        return answer.json

    async def read(self, path: str) -> Any:
        """Reads what must be there."""
        answer = await self.get(path)
        assert answer.status == 200, answer.body
        return answer.json

    async def workflow(self, sql: str = SQL, parameters: Sequence[object] = ()) -> str:
        """The sandbox as an instance, where it is not one yet, and a workflow on it."""
        assert (await self.post("/api/instances", INSTANCE)).status in (201, 409)
        body = {"name": "Values", "sql_query": sql, "parameters": list(parameters)}
        return str((await self.done("/api/workflows", body))["workflow_id"])

    async def report(self) -> str:
        """A report's path."""
        return f"/api/reports/{(await self.done('/api/reports', {'name': 'Values'}))['report_id']}"

    async def reviewed(
        self, schedule: object = ONCE, *, window: object = WEEK, workflow: str | None = None, **parameters: object
    ) -> tuple[str, Any]:
        """A report with three steps done: its path, and what review answered."""
        path = await self.report()
        step = {
            "instance_id": INSTANCE_ID,
            "workflow_id": workflow or await self.workflow(),
            "lookback_config": window,
            **parameters,
        }
        await self.done(f"{path}/parameters", step)
        await self.done(f"{path}/schedule", schedule)
        return path, await self.done(f"{path}/review", {})

    async def submitted(self, schedule: object = ONCE, **more: Any) -> Any:
        """All four steps; answers what submit does."""
        path, review = await self.reviewed(schedule, **more)
        return await self.done(f"{path}/submit", {"digest": review["digest"]})

    async def finished(self, submitted: Any, *, seconds: float = 20) -> Any:
        """Waits for the end of the collection that was submitted; answers it."""
        path = f"/api/data-collections/{submitted['collection_id']}"
        collection = await self.read(f"{path}?min_position={submitted['position']}")
        deadline = time.monotonic() + seconds
        while not collection["finished_at"]:
            assert time.monotonic() < deadline, await self.read(f"{path}/progress")
            await asyncio.sleep(0.02)
            collection = await self.read(path)
        return collection

    async def rows(self, submitted: Any) -> list[dict[str, Any]]:
        """The results as JSON."""
        rows: list[dict[str, Any]] = await self.read(
            f"/api/data-collections/{submitted['collection_id']}/results?format=json"
        )
        return rows


class Service(Client):
    """A running service: a client of it, and its insides."""

    def __init__(self, http: aiohttp.ClientSession, program: Program, settings: Settings) -> None:
        super().__init__(http)
        self.program = program
        self.settings = settings

    def act_as(self, team: str, scopes: Sequence[str] = ("admin",)) -> None:
        """From here on requests are those of a person of the team."""
        self.authorization = self.token(team=team, scopes=scopes)

    def token(self, *, team: str, scopes: Sequence[str] = ("admin",)) -> str:
        """`Authorization` of a person of the team, as `report-builder token` makes one."""
        now = int(time.time())
        claims = own_claims(
            subject=f"someone-of-{team}",
            teams=(team,),
            team_claim=self.settings.auth_team_claim,
            scopes=list(scopes),
            audience=self.settings.auth_audience,
            issued_at=now,
            expires_at=now + 3600,
        )
        return f"Bearer {OwnKey(own_key_file(self.settings.data_dir)).sign(claims)}"


class Numbers(msgspec.Struct, frozen=True):
    """The sandbox's table `numbers`: `value` 1, 2, 3 … by day, from `first` to `last`, yesterday (UTC)."""

    file: Path
    first: date
    last: date

    def window(self, days: int) -> dict[str, str]:
        """The first days of it as a lookback."""
        last = date.fromordinal(self.first.toordinal() + days - 1)
        return {"type": "custom", "startDate": self.first.isoformat(), "endDate": last.isoformat()}


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    file = tmp_path_factory.mktemp("numbers") / "numbers.csv"
    return Numbers(file, *write_numbers(file, DAYS))


@pytest.fixture
async def sandbox(numbers: Numbers) -> AsyncIterator[RunningSandbox]:
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with running_sandbox(SandboxOptions(tables=(table,), port=0)) as sandbox:
        yield sandbox


def settings_for(database: Database, folder: Path, sandbox: RunningSandbox | None = None) -> Settings:
    """Settings that wait for nothing."""
    return Settings(
        data_dir=folder,
        database_url=database.service_url,
        port=0,
        secret_key=SECRET_KEY,
        amc_base_url=sandbox.base_url if sandbox else NO_API,
        amc_token_url=sandbox.token_url if sandbox else NO_API,
        amc_client_id="amzn1.application-oa2-client.test",
        amc_client_secret="secret",
        amc_refresh_token="Atzr|test",
        amc_requests_per_second=1000,
        amc_poll_delays=(0.0, 0.02, 0.05),
        amc_timeout=5,
        lease_margin=15,
        retry_base=0.1,
        admission_interval=0.1,
        shutdown_grace=5,
    )


@asynccontextmanager
async def serving(settings: Settings, roles: Sequence[Role] = ROLES) -> AsyncIterator[Service]:
    """The service with these roles, and a client of it."""
    async with (
        running(settings, roles) as program,
        aiohttp.ClientSession(
            program.api_url, timeout=aiohttp.ClientTimeout(total=30), connector=aiohttp.TCPConnector(limit=0)
        ) as http,
    ):
        yield Service(http, program, settings)
        await hold_to_schemas(program.pool)


@pytest.fixture
async def service(database: Database, tmp_path: Path, sandbox: RunningSandbox) -> AsyncIterator[Service]:
    """All roles, against the sandbox."""
    async with serving(settings_for(database, tmp_path, sandbox)) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The same, once for a module whose tests do not mind what the others have made."""
    async with postgres_server.fresh_database() as database:
        settings = settings_for(database, tmp_path_factory.mktemp("data"))
        async with serving(settings, ("api", "projector", "tree")) as service:
            yield service


@pytest.fixture
async def api(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    """API and projector alone: what is submitted stays pending."""
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as service:
        yield service
