"""A backup made while a backfill runs, brought back to a point in time by the very commands of docs/operations.md."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from db.migrations import migrate_up
from tests import postgres15
from tests.commands import commands, with_variables
from tests.deployment import ROOT, Api, Deployment, write_numbers
from tests.postgres import Database, Server

pytestmark = pytest.mark.postgresql15

DAYS = 40
OPERATIONS = ROOT / "docs" / "operations.md"
SUBMITTED = "SELECT count(*) FROM report_builder_audit WHERE event_type = 'segment.submitted'"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the server that is backed up, its backup and the restored one are, for the server's user."""
    with postgres15.private_folder() as folder:
        yield folder


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


def run_as_printed(mark: str, **variables: str | Path) -> None:
    """The document's block with this mark, by the server's user, with these variables instead of its own."""
    script = with_variables(commands(OPERATIONS, mark), {name: str(value) for name, value in variables.items()})
    postgres15.run("bash", "-euo", "pipefail", "-c", script)


async def fetchval(database: Database, sql: str) -> Any:
    connection = await asyncpg.connect(database.admin_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def archived(database: Database, archive: Path, api: Api) -> None:
    """Waits until all WAL up to now is in the archive."""
    name = await fetchval(database, "SELECT pg_walfile_name(pg_switch_wal())")

    async def check() -> bool:
        return Path(archive, str(name)).exists()

    await api.until(f"{name} archived", check, seconds=60)


async def test_a_backfill_completes_on_a_database_restored_to_a_moment_of_its_middle(
    server_folder: Path, folder: Path, http: aiohttp.ClientSession
) -> None:
    data, archive, backup, restored = (folder / name for name in ("data", "wal", "backup/today", "restored"))
    postgres15.initialise(data)
    postgres15.start(data, folder)
    database = Server(str(folder)).database("report_builder")
    try:
        await Server(str(folder)).run("CREATE DATABASE report_builder")
        await migrate_up(database.admin_url, service_url=database.service_url)
        run_as_printed("archive", ADMIN=database.admin_url, PGDATA=data, ARCHIVE=archive)

        first, last = write_numbers(server_folder / "numbers.csv", DAYS)
        deployment = Deployment(server_folder, {"REPORT_BUILDER_DATABASE_URL": database.service_url})
        api = Api(http, deployment)
        deployment.start_sandbox(server_folder / "numbers.csv", "--running-seconds", "0.3")
        service = deployment.start("run")
        await api.ready()
        collection_id = await api.submit_backfill(first, last, parallel_limit=4)
        await api.completed(collection_id, 4, seconds=60)
        for_reading(server_folder)
        run_as_printed("backup", ADMIN=database.admin_url, DATA_DIR=server_folder / "data", BACKUP=backup)
        await api.completed(collection_id, 12, seconds=60)
        # By one statement, so that nothing comes in between.
        moment, before = await fetchval(database, f"SELECT (clock_timestamp(), ({SUBMITTED}))")
        await api.completed(collection_id, 20, seconds=60)
        beyond = await fetchval(database, "SELECT max(position) FROM report_builder_audit")
        await api.until("signed beyond the moment", lambda: signed_to(api, beyond), seconds=30)
        await archived(database, archive, api)
        service.kill()
        service.wait()
    finally:
        postgres15.stop(data)

    try:
        run_as_printed(
            "restore", BASE=backup / "base", ARCHIVE=archive, RESTORED=restored, SOCKET=folder, MOMENT=moment
        )
        # Now, when also the creates that were on their way at the kill have come in.
        begun = (await api.sandbox_stats())["created"]
        known = await fetchval(database, SUBMITTED)
        assert before - 4 <= known <= before + 4, "not the moment that was asked for"
        assert await fetchval(database, "SELECT count(*) = max(position) FROM report_builder_audit")
        assert deployment.start("restore").wait(120) == 0, deployment.output()
        assert "epoch 2 begins" in deployment.output()
        deployment.start("run")
        await api.ready()
        collection = await api.finished(collection_id, seconds=90)
        assert (collection["backfill_status"], collection["segments_completed"]) == ("completed", DAYS)
        rows = await api.get(f"/api/data-collections/{collection_id}/results", format="json")
        assert sorted(row["value"] for row in rows) == list(range(1, DAYS + 1))
        # What the document says of AMC: no execution runs twice, whether the log knows of it, by its id or its intent,
        # or has forgotten it.
        stats = await api.sandbox_stats()
        assert begun > known, "nothing was forgotten"
        assert (stats["created"], stats["duplicates"]) == (DAYS, 0)
        await api.until("signed in epoch 2", lambda: signed_in_epoch(api, 2), seconds=30)
        executions = "SELECT count(*) = count(DISTINCT configuration ->> 'execution_id') FROM report_builder_audit"
        assert await fetchval(database, f"{executions} WHERE event_type = 'segment.submitted'")
        deployment.stop()
    finally:
        postgres15.stop(restored)


async def signed_to(api: Api, position: int) -> bool:
    head = (await api.get("/api/audit/log"))["head"]
    return bool(head and int(head.splitlines()[1]) >= position)


async def signed_in_epoch(api: Api, epoch: int) -> bool:
    log = await api.get("/api/audit/log")
    return bool(log["epoch"] == epoch and log["head"] and f"/epoch-{epoch}\n" in log["head"])


def for_reading(folder: Path) -> None:
    """Lets the server's user, who makes the backup here, read the results."""
    for each in (folder, folder / "data"):
        each.chmod(0o755)
    # What comes and goes below `tmp` meanwhile is none of the backup's business.
    command = [
        "find",
        str(folder / "data" / "results"),
        "-name",
        "tmp",
        "-prune",
        "-o",
        "-exec",
        "chmod",
        "a+rX",
        "{}",
        "+",
    ]
    subprocess.run(command, check=True)


def test_the_check_of_the_results_finds_one_that_is_damaged(tmp_path: Path) -> None:
    (line,) = re.findall(r"^find \"\$BACKUP.*$", commands(OPERATIONS, "backup"), re.MULTILINE)
    results = tmp_path / "results"
    results.mkdir()
    (tmp_path / "today").mkdir()
    good = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    (results / f"{good}.parquet").write_text("hello")
    bad = results / f"{good.replace('2', '3')}.parquet"
    bad.write_text("hello")
    done = subprocess.run(
        ["bash", "-c", line], env={"BACKUP": str(tmp_path / "today"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [f"{tmp_path}/today/../results/{bad.name}"]
