"""Secrets planted as canaries: whatever happens to an account, nothing but the ciphertext ever holds them."""

from __future__ import annotations

import base64
import io
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import structlog
from rich.console import Console

from service.amc.account_routes import ConnectAccount, ReconnectAccount
from service.amc.keys import SecretKeys
from service.amc.models import Account
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from service.amc.vault import Credentials, Secret, Vault
from tests.accounts import LOGIN, add_instance, connected, types_of, until
from tests.deployment import free_port
from tests.integration.accounts.test_held_work import OTHER, finished, held, submit
from tests.postgres import Database
from tests.service import Client, Numbers, Service, serving, settings_for

# With and without the form that Amazon's have, so that no pattern can be what hides them.
CLIENT_SECRET = "canary4d0e1f6b5a-client-secret"
TOKEN = "Atzr|canary93c7a2f18e-refresh-token"
BAD_TOKEN = "canary5581be02dd-token-that-amazon-refuses"
NEW_SECRET = "canary17fa66c0b9-new-client-secret"
NEW_TOKEN = "canary0b2d94e7a3-new-refresh-token"
CANARIES = (CLIENT_SECRET, TOKEN, BAD_TOKEN, NEW_SECRET, NEW_TOKEN)
CIPHERTEXT = ("client_secret", "refresh_token")

ACCESS_TOKEN = re.compile(rb"Atza\|[\w-]{20,}")


def forms(secret: str) -> list[bytes]:
    """The secret as it may be spelled: as it is, its middle alone (whatever was escaped around it), encoded."""
    plain = secret.encode()
    return [
        plain,
        re.findall(rb"canary[0-9a-f]{10}", plain)[0],
        base64.b64encode(plain).rstrip(b"=")[:-1],
        plain.hex().encode(),
    ]


def found_in(content: bytes) -> list[str]:
    """The canaries, and Amazon's access tokens, that the content holds."""
    tokens = [token.decode() for token in ACCESS_TOKEN.findall(content)]
    return tokens + [secret for secret in CANARIES if any(form in content for form in forms(secret))]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Every line that we or a library log, from debug up, with tracebacks."""
    written = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(written),
        cache_logger_on_first_use=False,
    )
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The headers and body of every answer that a client gets."""
    kept: list[bytes] = []
    send = Client.send

    async def keeping(client: Client, *arguments: Any, **options: Any) -> Any:
        answer = await send(client, *arguments, **options)
        kept.append(f"{arguments[:2]} {dict(answer.headers)}\n".encode() + answer.body)
        return answer

    monkeypatch.setattr(Client, "send", keeping)
    return kept


class Amazon:
    """A sandbox on a port of its own that can be switched off and on."""

    def __init__(self, stack: AsyncExitStack, options: SandboxOptions) -> None:
        self._stack = stack
        self._options = options
        self._running: AsyncExitStack | None = None

    async def on(self) -> RunningSandbox:
        self._running = await self._stack.enter_async_context(AsyncExitStack())
        self.sandbox = await self._running.enter_async_context(running_sandbox(self._options))
        return self.sandbox

    async def off(self) -> None:
        assert self._running is not None
        await self._running.aclose()

    def faults(self, **faults: Any) -> None:
        self.sandbox.sandbox.faults.set(Faults(**faults))


@pytest.fixture
async def amazon(numbers: Numbers, tmp_path: Path) -> AsyncIterator[Amazon]:
    options = SandboxOptions(
        port=free_port(),
        tables=(TableFile(name="numbers", path=numbers.file, date_column="date"),),
        state_dir=tmp_path / "amazon",
    )
    async with AsyncExitStack() as stack:
        yield Amazon(stack, options)


async def test_a_planted_secret_is_found_nowhere(
    database: Database, tmp_path: Path, numbers: Numbers, amazon: Amazon, lines: io.StringIO, answers: list[bytes]
) -> None:
    settings = settings_for(database, tmp_path / "data", await amazon.on())
    settings = msgspec.structs.replace(settings, log_level="debug")
    async with serving(settings) as service:
        account_id = await _live_through_everything(service, amazon, numbers)
        frames = await _read_everything(service, account_id)
    log = lines.getvalue().encode()
    assert b"account_held" in log  # what is searched is what was logged
    assert b"look_up_failed" in log or b"account_still_held" in log or b"step_held" in log
    assert found_in(log) == []
    assert len(answers) > 40
    assert found_in(b"\n".join(answers)) == []
    assert b"account.revoked" in frames
    assert found_in(frames) == []
    assert await _found_in_tables(database) == []
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or found_in(file.read_bytes()) == [], file


async def _live_through_everything(service: Service, amazon: Amazon, numbers: Numbers) -> str:
    """An account's life: refused, connected, at work, failing, off, revoked, connected again, with another key."""
    login = {"client_secret": CLIENT_SECRET, "refresh_token": TOKEN}
    amazon.faults(revoked_tokens=(BAD_TOKEN,), echo_secrets=True)
    refused = await service.post("/api/accounts", LOGIN | login | {"refresh_token": BAD_TOKEN})
    assert refused.status == 422
    assert (await service.post("/api/accounts", LOGIN | login | {"refresh_token": [TOKEN]})).status == 422
    assert (await service.post("/api/accounts", LOGIN | login | {"client_secret": f"{CLIENT_SECRET} "})).status == 422
    assert (await service.post("/api/accounts", f'{{"refresh_token": "{TOKEN}",,}}'.encode())).status == 422
    account_id = await connected(service, **login)
    await add_instance(service, OTHER, account_id=account_id)
    collection_id = await submit(service, OTHER, numbers, days=4)
    assert (await finished(service, collection_id))["backfill_status"] == "completed"

    # Seldom enough that no call finds its token, the next, and those of the question after it expired, too.
    amazon.faults(error_rate=0.5, expire_tokens_every=10, echo_secrets=True)
    collection_id = await submit(service, OTHER, numbers, days=4)

    async def failing() -> bool:
        return "500" in amazon.sandbox.sandbox.stats.answers

    await until("failing", failing)
    await amazon.off()
    answer = await service.get(f"/api/accounts/{account_id}/instances")
    assert (answer.status, answer.json["code"]) == (503, "amazon_unavailable")
    await amazon.on()
    amazon.faults(revoked_tokens=(TOKEN,), echo_secrets=True)
    collection_id = await submit(service, OTHER, numbers, days=6)
    # After so many errors the instance may be left alone first, for as long as its breaker is open.
    await held(service, collection_id, seconds=60)
    path = f"/api/accounts/{account_id}/reconnect"
    assert (await service.post(path, {})).status == 422
    assert (await service.post(path, {"refresh_token": BAD_TOKEN, "client_id": "a b"})).status == 422
    await service.done(path, {"client_secret": NEW_SECRET, "refresh_token": NEW_TOKEN}, Idempotency_Key="once")
    await service.done(path, {"client_secret": NEW_SECRET, "refresh_token": NEW_TOKEN}, Idempotency_Key="once")
    assert (await finished(service, collection_id))["backfill_status"] == "completed"
    assert "revoked" in await types_of(service.program.pool, "account", account_id)
    await Vault(service.program.pool, SecretKeys(service.settings)).rotate()
    return account_id


async def _read_everything(service: Service, account_id: str) -> bytes:
    """Every GET that there is, over all that is there; answers the frames of the event stream."""
    for path in ("/healthz", "/readyz", "/api/accounts", "/api/instances", "/api/workflows", "/api/data-collections"):
        await service.read(path)
    await service.read(f"/api/accounts/{account_id}")
    await service.read(f"/api/accounts/{account_id}/instances")
    await service.read(f"/api/instances/{OTHER}")
    for collection in (await service.read("/api/data-collections"))["items"]:
        path = f"/api/data-collections/{collection['collection_id']}"
        await service.read(path)
        await service.read(f"{path}/progress")
        for kind in ("csv", "json", "parquet"):
            await service.get(f"{path}/results?format={kind}")
        await service.read(f"/api/reports/{collection['report_id']}")
    after, more = 0, True
    while more:
        page = await service.read(f"/api/events?after={after}&limit=1000")
        await service.get(f"/api/events?after={after}&limit=1000", Accept="application/x-ndjson")
        after, more = page["next_after"], page["more"]
    frames = b""
    async with service.http.get("/api/events/stream") as stream:
        while b"event: caught-up" not in frames:
            frames += await stream.content.readany()
    return frames


async def _found_in_tables(database: Database) -> list[str]:
    """Where a canary is in any column of any table, but for what is ciphertext in the columns that are for it."""
    found = []
    admin = await asyncpg.connect(database.admin_url)
    try:
        tables = await admin.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm')"
        )
        assert len(tables) >= 14
        read = 0
        for table in tables:
            for row in await admin.fetch(f"SELECT * FROM public.{table['relname']}"):
                for name, value in row.items():
                    read += 1
                    content = value if isinstance(value, bytes) else str(value).encode()
                    if found_in(content):
                        found.append(f"{table['relname']}.{name}")
        assert read > 1000
        stored = await admin.fetch("SELECT client_secret, refresh_token FROM amc_accounts")
        assert len(stored) == 1
        assert all(len(row[name]) > 12 + 16 for row in stored for name in CIPHERTEXT)
    finally:
        await admin.close()
    return found


def test_no_text_made_of_a_struct_holds_a_secret() -> None:
    credentials = Credentials(client_secret=Secret(CLIENT_SECRET), refresh_token=Secret(TOKEN))
    structs = [
        ConnectAccount(name="n", client_id="c", client_secret=CLIENT_SECRET, refresh_token=TOKEN),
        ReconnectAccount(client_secret=CLIENT_SECRET, refresh_token=TOKEN),
        Account(account_id="a", client_id="c", client_secret=CLIENT_SECRET, refresh_token=TOKEN),
        credentials,
    ]
    shown = io.StringIO()
    Console(file=shown).print(*structs, structs, {"structs": structs})
    for text in (*map(repr, structs), *map(str, structs), f"{structs}", shown.getvalue()):
        assert found_in(text.encode()) == []
