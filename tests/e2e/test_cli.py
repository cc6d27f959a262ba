"""`report-builder` as an operator types it: exit codes, and one sentence where something is wrong."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from service.auth.caller import LOCAL
from tests.deployment import ROOT, free_port
from tests.postgres import Database, Server

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")},
        "REPORT_BUILDER_DATA_DIR": str(tmp_path / "data"),
        "REPORT_BUILDER_PORT": str(free_port()),
        "REPORT_BUILDER_AMC_CLIENT_ID": "client",
        "REPORT_BUILDER_AMC_CLIENT_SECRET": "secret",
        "REPORT_BUILDER_AMC_REFRESH_TOKEN": "Atzr|token",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs the program to its end."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            env=environment | {f"REPORT_BUILDER_{name}": value for name, value in settings.items()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run


@pytest.fixture
async def empty(postgres_server: Server) -> AsyncIterator[Database]:
    """A database without a schema."""
    async with postgres_server.fresh_database(migrated=False) as database:
        yield database


def sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refusal prints."""
    assert result.returncode == 1, (result.stdout, result.stderr)
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("report-builder: "), line
    return line


def test_help_names_every_command(run: Run) -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in (
        "run",
        "demo",
        "token",
        "migrate",
        "projections",
        "accounts",
        "audit",
        "collections",
        "schedules",
        "clock",
        "amc-sandbox",
    ):
        assert re.search(rf"^  {command} ", result.stdout, re.MULTILINE), command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--roles", "api,juggler"), "juggler"),
        (("migrate", "sideways"), "sideways"),
        (("amc-sandbox", "--table", "numbers"), "NAME=FILE"),
        (("token", "--scopes", "admin,root"), "no such scope: root"),
        (("token", "--expires", "soon"), "90m"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PROT": "1"}, "REPORT_BUILDER_PROT is not a setting"),
        ({"LOG_LEVEL": "loud"}, "REPORT_BUILDER_LOG_LEVEL"),
        ({"HOST": "0.0.0.0"}, "REPORT_BUILDER_AUTH_ISSUER"),
        ({"DATABASE_URL": "mysql://user:hush@host/db"}, "postgresql"),
        ({"DATABASE_URL": f"postgresql://user:hush@127.0.0.1:{free_port()}/db"}, "onnect"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(run: Run, settings: dict[str, str], said: str) -> None:
    line = sentence(run("run", **settings))
    assert said in line
    assert "hush" not in line


def test_a_worker_of_its_own_needs_a_broker(run: Run, database: Database) -> None:
    line = sentence(run("run", "--roles", "worker", DATABASE_URL=database.service_url))
    assert "REPORT_BUILDER_AMQP_URL" in line


def test_a_superuser_is_refused(run: Run, database: Database) -> None:
    assert "superuser" in sentence(run("run", DATABASE_URL=database.admin_url))


def test_an_unmigrated_database_is_refused_with_the_command_to_run(run: Run, empty: Database) -> None:
    assert "migrate up" in sentence(run("run", DATABASE_URL=empty.service_url))


def test_no_token_is_printed_that_the_service_would_not_take(run: Run) -> None:
    issuer = {"AUTH_ISSUER": "https://issuer.example"}
    assert "REPORT_BUILDER_AUTH_OWN_KEYS" in sentence(run("token", **issuer))
    assert run("token", **issuer, AUTH_OWN_KEYS="true").stdout.count(".") == 2


async def test_migrations_go_up_and_down_and_say_where_they_stand(run: Run, empty: Database) -> None:
    urls = {"DATABASE_ADMIN_URL": empty.admin_url, "DATABASE_URL": empty.service_url}
    assert "ADMIN_URL" in sentence(run("migrate", "up", DATABASE_URL=empty.service_url))
    before = run("migrate", "status", **urls)
    assert before.returncode == 1
    assert set(re.findall(r"^\w+", before.stdout, re.MULTILINE)) == {"missing"}
    up = run("migrate", "up", **urls)
    assert up.returncode == 0, up.stderr
    assert "0001" in up.stdout or "event_log" in up.stdout
    after = run("migrate", "status", **urls)
    assert after.returncode == 0
    assert set(re.findall(r"^\w+", after.stdout, re.MULTILINE)) == {"applied"}

    down = run("migrate", "down", **urls)
    assert down.returncode == 0, down.stderr
    assert run("migrate", "up", **urls).returncode == 0

    connection = await asyncpg.connect(empty.admin_url)
    try:
        await connection.execute(
            "INSERT INTO report_builder_audit (position, id, stream, stream_version, event_type, schema_version,"
            " team_id, configuration, metadata, recorded_at) VALUES (1, gen_random_uuid(), 'report-1', 1,"
            " 'report.created', 1, 'local', '{\"name\": \"x\"}', '{}', now())"
        )
    finally:
        await connection.close()
    assert "1 events" in sentence(run("migrate", "down", **urls))
    assert "nothing to do" in run("migrate", "up", **urls).stdout
    assert run("migrate", "down", "--yes", **urls).returncode == 0
    assert "nothing to do" in run("migrate", "down", **urls).stdout


async def test_run_serves_until_sigterm_and_a_rebuild_counts_what_it_put_right(
    run: Run, environment: dict[str, str], database: Database, tmp_path: Path
) -> None:
    environment["REPORT_BUILDER_DATABASE_URL"] = database.service_url
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "run"],
        env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{environment['REPORT_BUILDER_PORT']}"
        async with aiohttp.ClientSession(url) as http:
            deadline = time.monotonic() + 90
            while True:
                assert time.monotonic() < deadline
                with suppress(aiohttp.ClientConnectionError):
                    async with http.get("/readyz") as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.1)
            async with http.post("/api/workflows", json={"name": "W", "sql_query": "SELECT 1"}) as answer:
                position = (await answer.json())["position"]
            async with http.get("/api/workflows", params={"min_position": position}) as answer:
                assert len((await answer.json())["items"]) == 1

            printed = run("token", "--team", "blue", "--team", "red", "--scopes", "events:read", "--expires", "90m")
            assert printed.returncode == 0, printed.stderr
            headers = {"Authorization": f"Bearer {printed.stdout.strip()}"}
            async with http.get("/auth/session", headers=headers) as answer:
                session = await answer.json()
            assert (session["teams"], session["scopes"]) == (["blue", "red"], ["events:read"])
            assert session["user_id"] == str(LOCAL.user_id)
            async with http.get("/api/workflows", headers=headers) as answer:
                assert (await answer.json())["items"] == []

        taken = run("run", DATABASE_URL=database.service_url)
        assert taken.returncode == 1
        # On a busy machine lines of its log may stand before it.
        assert f"port {environment['REPORT_BUILDER_PORT']}" in taken.stderr.strip().splitlines()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert f"serves on {url}" in said
    assert f"{url}/auth/code/" in said
    assert "Traceback" not in said

    rebuilt = run("projections", "rebuild", DATABASE_URL=database.service_url)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.strip() == "rebuilt at position 1: 0 rows removed, 0 added, 0 changed"
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute("UPDATE workflows SET name = 'changed by hand'")
        again = run("projections", "rebuild", DATABASE_URL=database.service_url)
        assert again.stdout.strip() == "rebuilt at position 2: 0 rows removed, 0 added, 1 changed"
        assert await connection.fetchval("SELECT name FROM workflows") == "W"
    finally:
        await connection.close()
