"""`report-builder accounts`: secrets come in by standard input, the environment or references, never as arguments."""

from __future__ import annotations

import asyncio
import base64
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner, Result

from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, running_sandbox
from service.cli import cli
from service.settings import SettingsError
from tests.deployment import ROOT
from tests.postgres import Database

Run = Callable[..., Awaitable[Result]]

SECRETS = "amzn-client-secret\nAtzr|the-refresh-token\n"
OLD = base64.b64encode(b"1" * 32).decode()
NEW = base64.b64encode(b"2" * 32).decode()


@pytest.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(SandboxOptions()) as sandbox:
        yield sandbox


@pytest.fixture
def environment(database: Database, sandbox: RunningSandbox, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")},
        "REPORT_BUILDER_DATA_DIR": str(tmp_path / "data"),
        "REPORT_BUILDER_DATABASE_URL": database.service_url,
        "REPORT_BUILDER_SECRET_KEY": OLD,
        "REPORT_BUILDER_AMC_BASE_URL": sandbox.base_url,
        "REPORT_BUILDER_AMC_TOKEN_URL": sandbox.token_url,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "300",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Runs `report-builder accounts` to its end, in a thread beside the sandbox: a process takes seconds to start."""

    async def run(*arguments: str, said: str = "", **variables: str) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke, cli, ["accounts", *arguments], input=said, env=environment | variables
        )

    return run


async def listed(run: Run) -> list[Any]:
    result = await run("list", "--json")
    assert result.exit_code == 0, result.output
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


async def connected(run: Run, *options: str, said: str = SECRETS, **variables: str) -> str:
    result = await run("connect", "Brand", "--client-id", "amzn1.client", *options, said=said, **variables)
    assert result.exit_code == 0, result.output
    word, account_id = result.stdout.split()
    assert word == "connected"
    return account_id


def sentence(result: Result) -> str:
    """What a refusal says; no secret is in it."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit | SettingsError), result.exception
    said = f"{result.output} {result.exception}"
    assert "Atzr|the" not in said
    assert "amzn-client-secret" not in said
    return said


async def test_an_account_is_connected_listed_reconnected_and_disconnected(
    run: Run, sandbox: RunningSandbox, database: Database
) -> None:
    account_id = await connected(run, "--team", "agency")
    default, account = await listed(run)
    assert (default["account_id"], default["status"]) == ("default", "connected")
    assert (account["account_id"], account["name"], account["status"]) == (account_id, "Brand", "connected")
    table = await run("list")
    assert account_id in table.stdout
    assert "Atzr" not in table.stdout

    sandbox.sandbox.faults.set(Faults(revoked_tokens=("Atzr|the-refresh-token",), echo_secrets=True))
    assert "Amazon does not accept these credentials" in sentence(await run("reconnect", account_id, "--same"))
    again = await run("reconnect", account_id, said="amzn-client-secret\nAtzr|another\n")
    assert again.stdout == f"connected {account_id} again\n", again.output

    assert (await run("disconnect", account_id)).exit_code != 0  # it asks, and nobody answers
    assert (await run("disconnect", account_id, "--yes")).stdout == f"disconnected {account_id}\n"
    assert "disconnected already" in sentence(await run("disconnect", account_id, "--yes"))
    [_, account] = await listed(run)
    assert account["status"] == "disconnected"
    assert account_id in account["held_by"]["remedy"]
    assert "there is no account" in sentence(await run("disconnect", "nobody", "--yes"))
    admin = await asyncpg.connect(database.admin_url)
    try:
        rows = await admin.fetch("SELECT event_type, team_id, user_id FROM report_builder_audit ORDER BY position")
        assert [tuple(row) for row in rows] == [
            (f"account.{happened}", "agency", None) for happened in ("connected", "reconnected", "disconnected")
        ]
        assert await admin.fetchval("SELECT count(*) FROM amc_accounts") == 0
    finally:
        await admin.close()


async def test_secrets_may_be_in_the_environment_or_stay_where_they_are(
    run: Run, tmp_path: Path, database: Database
) -> None:
    await connected(
        run, "--secrets-from", "env", said="", AMC_CLIENT_SECRET="amzn-client-secret", AMC_REFRESH_TOKEN="Atzr|x"
    )
    missing = await run("connect", "B", "--client-id", "c", "--secrets-from", "env", AMC_CLIENT_SECRET="x")
    assert "AMC_REFRESH_TOKEN is missing" in sentence(missing)

    token = tmp_path / "token"
    references = (
        "--client-secret-reference", "env:BRAND_SECRET", "--refresh-token-reference", f"file:{token}",
    )  # fmt: skip
    absent = await run("connect", "B", "--client-id", "c", *references, BRAND_SECRET="amzn-client-secret")
    assert f"file:{token} cannot be read" in sentence(absent)
    token.write_text("Atzr|the-refresh-token\n")
    # References need no key.
    await connected(run, *references, said="", BRAND_SECRET="amzn-client-secret", REPORT_BUILDER_SECRET_KEY="")
    assert "REPORT_BUILDER_SECRET_KEY" in sentence(
        await run("connect", "B", "--client-id", "c", said=SECRETS, REPORT_BUILDER_SECRET_KEY="")
    )
    admin = await asyncpg.connect(database.admin_url)
    try:
        rows = await admin.fetch("SELECT client_secret_reference, refresh_token_reference, key_id FROM amc_accounts")
        assert {tuple(row)[:2] for row in rows} == {(None, None), ("env:BRAND_SECRET", f"file:{token}")}
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("options", "said", "expected"),
    [
        (("--client-id", "a b"), SECRETS, "/client_id"),
        (("--client-id", "c"), "only-one-line\n", "a line with the refresh token is missing"),
        (("--client-id", "c"), "amzn-client-secret with spaces\nAtzr|the-refresh-token\n", "/client_secret"),
    ],
)
async def test_what_does_not_fit_is_one_sentence(run: Run, options: Any, said: str, expected: str) -> None:
    assert expected in sentence(await run("connect", "Brand", *options, said=said))


@pytest.mark.parametrize(
    "options",
    [
        ("--client-id", "c", "--client-secret", "amzn-client-secret"),
        ("--client-id", "c", "--region", "US"),
        ("--client-id", "c", "--base-url", "http://127.0.0.1:1"),
        ("--client-id", "c", "--base-url", "file:///x", "--token-url", "http://127.0.0.1:1"),
        ("--client-id", "c", "--client-secret-reference", "amzn-client-secret"),
        (),
    ],
)
async def test_a_wrong_command_line_is_exit_code_2(run: Run, options: tuple[str, ...]) -> None:
    assert (await run("connect", "Brand", *options)).exit_code == 2


async def test_addresses_may_be_an_operators_own(run: Run, sandbox: RunningSandbox) -> None:
    nowhere = {
        "REPORT_BUILDER_AMC_BASE_URL": "http://127.0.0.1:1",
        "REPORT_BUILDER_AMC_TOKEN_URL": "http://127.0.0.1:1",
    }
    assert "no connection to Amazon" in sentence(await run("connect", "B", "--client-id", "c", said=SECRETS, **nowhere))
    own = ("--base-url", sandbox.base_url, "--token-url", sandbox.token_url)
    await connected(run, *own, **nowhere)
    [_, account] = await listed(run)
    assert (account["region"], account["base_url"]) == (None, sandbox.base_url)


async def test_the_key_is_changed_beside_the_old_one_and_then_alone(run: Run, sandbox: RunningSandbox) -> None:
    account_id = await connected(run)
    both = {"REPORT_BUILDER_SECRET_KEY": f"{NEW},{OLD}"}
    rotated = await run("rotate-key", **both)
    assert rotated.stdout.startswith("encrypted 1 accounts and persons' keys again"), rotated.output
    alone = await run("reconnect", account_id, "--same", REPORT_BUILDER_SECRET_KEY=NEW)
    assert alone.exit_code == 0, alone.output
    lost = sentence(await run("reconnect", account_id, "--same", REPORT_BUILDER_SECRET_KEY=OLD))
    assert "does not hold" in lost
    wrong = await run("list", REPORT_BUILDER_SECRET_KEY="not-a-key")
    assert "REPORT_BUILDER_SECRET_KEY must hold keys" in sentence(wrong)
    assert "not-a-key" not in f"{wrong.output} {wrong.exception}"


async def test_at_a_terminal_secrets_are_asked_for_and_not_shown(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()

    def type_them() -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "accounts", "connect", "Brand", "--client-id", "c"],
            env=environment, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        for prompt, typed in ((b"Client secret: ", b"amzn-client-secret\n"), (b"Refresh token: ", b"Atzr|token\n")):
            while prompt not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, typed)
        while process.poll() is None or b"connected" not in shown:
            try:
                shown += os.read(ours, 1000)
            except OSError:  # the terminal is closed: it has ended
                break
        process.wait(30)
        return shown.decode()

    shown = await asyncio.to_thread(type_them)
    os.close(ours)
    assert "connected " in shown
    assert "amzn-client-secret" not in shown
    assert "Atzr" not in shown
