"""The embedded server comes back after any `kill -9`, of itself and of those who use it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from db import embedded
from db.embedded import EmbeddedPostgres, EmbeddedPostgresFailed

# Starts the server, says so, and holds on to it; with a statement under way, so that a backend stays.
HOLDER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from db.embedded import EmbeddedPostgres, EmbeddedPostgresFailed

async def hold():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    connection = await asyncpg.connect(server.admin_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (number bigint)")
    await connection.execute("INSERT INTO kept VALUES (1)")
    print("up", flush=True)
    await connection.execute("SELECT sum(n) FROM generate_series(1, 30000000) AS n")
    await asyncio.sleep(60)

asyncio.run(hold())
"""


def hold(folder: Path) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == b"up"
    return holder


def postmaster(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().split()[0])


async def rows(server: EmbeddedPostgres) -> int:
    connection = await asyncpg.connect(server.admin_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM kept"))
    finally:
        await connection.close()


async def test_it_comes_back_at_once_after_everything_was_killed(server_folder: Path) -> None:
    folder = server_folder / "data"
    for times in range(1, 4):
        holder = hold(folder)
        os.kill(postmaster(folder), signal.SIGKILL)
        holder.kill()
        # No wait for anything to be gone: that is the point.
        server = EmbeddedPostgres(folder)
        await server.start()
        assert await rows(server) == times
        await server.stop()
        holder.wait()
        assert not (folder / "postmaster.pid").exists()


async def test_a_stranger_with_the_servers_number_is_not_taken_for_it(server_folder: Path) -> None:
    folder = server_folder / "data"
    holder = hold(folder)
    number = str(postmaster(folder))
    os.kill(int(number), signal.SIGKILL)
    holder.kill()
    holder.wait()
    file = folder / "postmaster.pid"
    stranger = subprocess.Popen(["sleep", "60"])
    file.write_text(file.read_text().replace(number, str(stranger.pid), 1))
    try:
        server = EmbeddedPostgres(folder)
        await server.start()
        assert await rows(server) == 1
        await server.stop()
    finally:
        stranger.kill()
        stranger.wait()


async def test_stopping_one_that_was_killed_is_no_error(server_folder: Path) -> None:
    folder = server_folder / "data"
    server = EmbeddedPostgres(folder)
    await server.start()
    os.kill(postmaster(folder), signal.SIGKILL)
    await server.stop()


async def test_one_that_cannot_start_says_where_to_look(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PATIENCE", 1.0)
    folder = server_folder / "data"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("18\n")  # a data folder without data
    with pytest.raises(EmbeddedPostgresFailed, match=f"{folder}/log"):
        async with asyncio.timeout(60):
            await EmbeddedPostgres(folder).start()
