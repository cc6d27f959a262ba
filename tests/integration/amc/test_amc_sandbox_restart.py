"""With a state folder the sandbox goes on after a kill where it was: same ids, same ends, no answer lost."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from service.amc.sandbox import RunningSandbox, Sandbox, SandboxOptions, TableFile, running_sandbox

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Connect

PROGRAM = """
import asyncio, sys, msgspec
from service.amc.sandbox import SandboxOptions, serve
options = msgspec.json.decode(sys.argv[1], type=SandboxOptions, dec_hook=lambda kind, value: kind(value))
asyncio.run(serve(options, lambda handle: print("up", flush=True)))
"""


async def start(options: SandboxOptions) -> asyncio.subprocess.Process:
    encoded = msgspec.json.encode(options, enc_hook=str).decode()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, encoded, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 15) == b"up\n"
    return process


async def test_workflows_and_executions_survive_a_kill(connect: Connect, adwords: TableFile, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    state = tmp_path / "state"
    options = SandboxOptions(tables=(adwords,), state_dir=state, port=port)
    base = f"http://127.0.0.1:{port}"
    bench = await connect(RunningSandbox(base, f"{base}/auth/o2/token", Sandbox()))
    process = await start(options)
    try:
        name = await bench.save()
        done = await bench.run(bench.request(name))
        url = (await bench.client.download_urls(bench.instance, done.execution_id))[0]
        process.send_signal(signal.SIGKILL)
        await process.wait()

        slow = msgspec.structs.replace(options, running_seconds=30)
        process = await start(slow)
        running = [
            await bench.client.create_execution(bench.instance, bench.request(name, bench.first + timedelta(n)))
            for n in range(1, 4)
        ]
        process.send_signal(signal.SIGKILL)
        await process.wait()
        with (state / "journal.jsonl").open("ab") as journal:
            journal.write(b'{"kind":"execution","execu')  # a line that the kill cut short

        process = await start(options)
        for execution in running:
            end = await bench.finish(execution)
            assert (end.status, end.create_time) == ("SUCCEEDED", execution.create_time)
        # Addresses outlive the restart as well, and so does the result of the first life.
        assert await bench.download(url, tmp_path / "first.csv") > 0
        listed = await bench.client.list_executions(
            bench.instance, workflow_id=name, min_creation_time=datetime.now(UTC) - timedelta(minutes=5)
        )
        assert [item.execution_id for item in listed] == [item.execution_id for item in [done, *running]]
        stats = await bench.stats()
        assert (stats["created"], stats["duplicates"]) == (4, 0)
    finally:
        process.terminate()
        await process.wait()


async def test_a_reset_forgets_everything_for_good(connect: Connect, adwords: TableFile, tmp_path: Path) -> None:
    options = SandboxOptions(tables=(adwords,), state_dir=tmp_path, pending_seconds=30)
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        await bench.client.create_execution(bench.instance, bench.request(await bench.save()))
        async with bench.session.post(f"{handle.base_url}/sandbox/reset") as answer:
            assert answer.status == 200
        assert (await bench.stats())["created"] == 0
    async with running_sandbox(options) as handle:
        assert handle.sandbox.executions == {}
        assert handle.sandbox.workflows == {}
