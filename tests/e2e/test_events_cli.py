"""`report-builder events`: what is recorded and what comes, on the terminal and in a file."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from service.cli import cli
from tests.deployment import ROOT, free_port
from tests.postgres import Database
from tests.service import Service, serving, settings_for

PATIENCE = 60


async def run(api: Service, *arguments: str) -> Result:
    """The command in a thread of its own, as it brings its own event loop."""
    environment = {"REPORT_BUILDER_API_URL": str(api.program.api_url)}
    return await asyncio.to_thread(CliRunner().invoke, cli, ["events", *arguments], env=environment)


async def printed(api: Service, *arguments: str) -> list[int]:
    result = await run(api, "tail", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [int(msgspec.json.decode(line)["sequence"]) for line in result.stdout.splitlines()]


async def test_tail_prints_the_last_events_or_those_that_are_asked_for(api: Service) -> None:
    for _ in range(3):
        await api.reviewed()
    last = (await api.read("/api/events?limit=1"))["head"]
    assert await printed(api) == list(range(last - 9, last + 1))
    assert await printed(api, "--after", "0") == list(range(1, last + 1))
    reports = [event["sequence"] for event in (await api.read("/api/events?limit=1000&type=report.*"))["events"]]
    assert await printed(api, "--after", "0", "--type", "report.*") == [int(position) for position in reports]
    assert await printed(api, "--after", "0", "--stream", "report-nobody") == []
    result = await run(api, "tail", "--after", str(last - 1))
    [event] = (await api.read(f"/api/events?after={last - 1}"))["events"]
    position, time, kind, stream, user = result.stdout.split()
    assert (int(position), kind, stream, user) == (last, "report.reviewed", event["subject"], event["userid"])
    assert event["time"].startswith(time.removesuffix("Z"))


async def test_what_the_service_refuses_is_one_sentence(api: Service) -> None:
    result = await run(api, "tail", "--user", "nobody")
    assert result.exit_code != 0
    assert "bad_request" in str(result.exception)


async def test_an_export_goes_on_where_the_file_ends_also_in_the_middle_of_a_line(api: Service, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    await api.reviewed()
    assert (await run(api, "export", str(file))).exit_code == 0
    whole = file.read_bytes()
    assert whole == (await api.get("/api/events?limit=1000", Accept="application/x-ndjson")).body
    for length in (len(whole), len(whole) - 1, len(whole) // 2, 10, 0):
        file.write_bytes(whole[:length])
        result = await run(api, "export", str(file))
        assert result.exit_code == 0, result.output
        assert file.read_bytes() == whole
    await api.report()
    result = await run(api, "export", str(file))
    assert "1 events added" in result.stderr
    assert file.read_bytes() == (await api.get("/api/events?limit=1000", Accept="application/x-ndjson")).body


@pytest.mark.parametrize("content", ["name,value\n1,2\n", "name,value", '{"specversion":"1.0"}\n', "{}\n{"])
async def test_a_file_of_something_else_is_left_alone(api: Service, tmp_path: Path, content: str) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(content)
    result = await run(api, "export", str(file))
    assert result.exit_code != 0
    assert "name another one" in result.output
    assert file.read_text() == content


def _take_interrupts() -> None:
    """A shell that runs the tests in the background has their children ignore it, as one does at a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def test_following_goes_on_when_the_service_comes_back(database: Database, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path), port=free_port())
    environment = {"REPORT_BUILDER_PORT": str(settings.port), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "service", "events", "tail", "--follow", "--json", "--after", "0"]
    process: asyncio.subprocess.Process | None = None
    try:
        for number in (1, 2, 3):
            async with serving(settings, ("api", "projector")) as service:
                await service.report()
                process = process or await asyncio.create_subprocess_exec(
                    *command, env=environment, stdout=asyncio.subprocess.PIPE, preexec_fn=_take_interrupts
                )
                assert process.stdout is not None
                async with asyncio.timeout(PATIENCE):
                    line = await process.stdout.readline()
                assert int(msgspec.json.decode(line)["sequence"]) == number
        assert process is not None
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 130
    finally:
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
