"""The programs and commands of docs/consuming.md do what it says, as they are printed there."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

import aio_pika
import msgspec
import pytest

from tests.amqp_log import kept
from tests.commands import commands
from tests.deployment import ROOT
from tests.postgres import Database
from tests.rabbitmq import RabbitNode
from tests.service import Service, serving, settings_for

GUIDE = ROOT / "docs" / "consuming.md"
PATIENCE = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the programs run, with `report-builder` in it."""
    program = tmp_path / "bin" / "report-builder"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m service "$@"\n')
    program.chmod(0o755)
    return tmp_path


@asynccontextmanager
async def started(folder: Path, command: Sequence[str], **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**inherited, "PATH": path, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def positions(process: asyncio.subprocess.Process, last: int) -> list[int]:
    """Those that the program prints, up to this one."""
    assert process.stdout is not None
    found: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while not found or found[-1] != last:
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended by itself after {found}"
            if line.split(" ", 1)[0].isdigit():
                found.append(int(line.split(" ", 1)[0]))
    return found


async def head(api: Service) -> int:
    return int((await api.read("/api/events?limit=1"))["head"])


@pytest.mark.curl
async def test_the_commands_show_and_save_events(api: Service, folder: Path) -> None:
    path, _ = await api.reviewed()
    script = folder / "commands.sh"
    script.write_text(f"set -e\n{commands(GUIDE, 'curl')}")
    async with started(folder, [str(shutil.which("bash")), str(script)], URL=str(api.program.api_url)) as process:
        async with asyncio.timeout(PATIENCE):
            output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert "next-after: " in output.lower()
    assert "event: caught-up" in output
    assert output.count('"type":"report.parameters_set"') == 2  # by page, and live
    assert f"report.reviewed               report-{path.rpartition('/')[2]}" in output  # as a line for people
    lines = (folder / "events.ndjson").read_bytes().splitlines()
    assert [msgspec.json.decode(line) for line in lines] == (await api.read("/api/events?limit=1000"))["events"]


async def test_the_program_over_http_goes_on_where_it_was(api: Service, folder: Path) -> None:
    program = folder / "follow.py"
    program.write_text(commands(GUIDE, "follow", "python"))
    url = str(api.program.api_url)
    await api.reviewed()
    first = await head(api)
    async with started(folder, [sys.executable, str(program)], URL=url) as process:
        assert await positions(process, first) == list(range(1, first + 1))
        await api.report()
        assert await positions(process, first + 1) == [first + 1]
        async with asyncio.timeout(PATIENCE):
            while json.loads((folder / "checkpoint").read_text()) != {"after": first + 1, "epoch": 1}:
                await asyncio.sleep(0.02)
    await api.report()
    async with started(folder, [sys.executable, str(program)], URL=url) as process:
        assert await positions(process, first + 2) == [first + 2]


@pytest.mark.rabbitmq
async def test_the_program_over_amqp_fetches_what_its_queue_lacks_and_comes_back(
    database: Database, folder: Path, rabbit: RabbitNode
) -> None:
    prefix = f"guide-{token_hex(4)}"
    settings = msgspec.structs.replace(
        settings_for(database, folder / "data"), amqp_url=rabbit.url, amqp_prefix=prefix, amqp_log_bytes=20_000_000
    )
    program = folder / "read.py"
    program.write_text(commands(GUIDE, "amqp", "python"))
    variables = {"AMQP_URL": rabbit.url, "QUEUE": f"{prefix}.late", "PYTHONUNBUFFERED": "1"}
    async with serving(settings, ("api", "projector", "publisher")) as api:
        variables["URL"] = str(api.program.api_url)
        await api.reviewed()
        before = await head(api)
        await kept(rabbit.url, f"{prefix}.log", lambda found: bool(found) and found[-1] == before)
        async with await aio_pika.connect(rabbit.url) as connection:
            # A queue that has not been there from the beginning.
            channel = await connection.channel()
            late = await channel.declare_queue(f"{prefix}.late", durable=True, arguments={"x-queue-type": "stream"})
            await late.bind(f"{prefix}.events", "#")
        await api.report()
        async with started(folder, [sys.executable, str(program)], **variables) as process:
            assert await positions(process, before + 1) == list(range(1, before + 2))
            await asyncio.to_thread(rabbit.ctl, "close_all_connections", "a test")
            await api.report()
            assert await positions(process, before + 2) == [before + 2]
            async with asyncio.timeout(PATIENCE):
                while saved(folder) != before + 2:
                    await asyncio.sleep(0.02)
        await api.report()
        async with started(folder, [sys.executable, str(program)], **variables) as process:
            assert await positions(process, before + 3) == [before + 3]
    async with await aio_pika.connect(rabbit.url) as connection:
        channel = await connection.channel()
        for queue in ("late", "log"):
            await channel.queue_delete(f"{prefix}.{queue}")
        await channel.exchange_delete(f"{prefix}.events")


def saved(folder: Path) -> int:
    return int(json.loads((folder / "amqp-checkpoint").read_text())["sequence"])
