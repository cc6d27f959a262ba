"""The README's session works as it is printed: its commands are taken from it and run with bash."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.commands import commands, with_variables
from tests.deployment import ROOT, free_port
from tests.postgres import Server
from tests.rabbitmq import shared_url

pytestmark = pytest.mark.curl

README = ROOT / "README.md"
COLUMNS = ["segment_start", "segment_end", "segment_version", "event_date", "impressions", "clicks"]
DAYS = 8 * 7


def environment(folder: Path) -> dict[str, str]:
    """The tests' own, without any setting of the service, and with `report-builder` on the path."""
    program = folder / "bin" / "report-builder"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service "$@"\n')
    program.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")}
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(command: list[str], folder: Path, settings: Mapping[str, str], url: str) -> Iterator[None]:
    """The command and all that it starts, while the block runs; yields once the API is ready."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment(folder), **settings},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_ready(url, process, log)
        yield
    except BaseException:
        print(log.read_text(errors="replace")[-6000:])
        raise
    finally:
        end_group(process)


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with (
            suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer,
        ):
            if json.load(answer)["status"] == "ready":
                return
        assert process.poll() in (None, 0), f"it ended by itself:\n{log.read_text(errors='replace')[-3000:]}"
        time.sleep(0.1)
    pytest.fail(f"not ready after {seconds:g} s:\n{log.read_text(errors='replace')[-3000:]}")


def end_group(process: subprocess.Popen[bytes], grace: float = 30) -> None:
    """SIGTERM to the command and its children, as they share a process group; SIGKILL to whoever stays."""
    for sent, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + wait
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sent)
            while time.monotonic() < deadline:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.05)


def run_session(folder: Path, url: str) -> str:
    """Runs the README's session, and checks what a reader finds at its end; answers what it printed."""
    if shutil.which("curl") is None:
        pytest.fail("the README's session needs curl, which this machine lacks: apt-get install curl")
    script = with_variables(commands(README, "session"), {"URL": url})
    done = subprocess.run(
        ["bash", "-u"],
        input=script,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert done.stderr == "", said
    assert "/docs/errors#" not in done.stdout, said
    assert '"preview": {' in done.stdout
    assert '"status":"active"' in done.stdout, "the schedule is not at work"
    with (folder / "clicks.csv").open(newline="") as content:
        rows = list(csv.DictReader(content))
    assert list(rows[0]) == COLUMNS, said
    assert len(rows) == DAYS, said
    assert len({row["segment_start"] for row in rows}) == 8
    assert sum(int(row["impressions"]) for row in rows) > 0
    return done.stdout


def test_the_session_works_against_the_demo(server_folder: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    assert "\nmake demo\n" in README.read_text("utf-8")
    command = [sys.executable, "-m", "service", "demo", "--port", str(port)]
    if Path(sys.prefix) == ROOT / ".venv":  # set up by make, so that `make demo` installs nothing
        command = ["make", "-C", str(ROOT), "demo", f"PORT={port}"]
    with running(command, server_folder, {"REPORT_BUILDER_DATA_DIR": str(server_folder / "data")}, url):
        printed = run_session(server_folder, url)
    assert '{"status":"ready"' in printed
    assert printed.count("event: segment.completed") == 8
    assert printed.count("event: collection.finished") == 1
    assert "\ncompleted\n" in printed


@pytest.mark.rabbitmq
async def test_the_session_works_against_separate_processes(server_folder: Path, postgres_server: Server) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with postgres_server.fresh_database(migrated=False) as database:
        script = with_variables(
            commands(README, "processes"),
            {
                "REPORT_BUILDER_DATABASE_ADMIN_URL": database.admin_url,
                "REPORT_BUILDER_DATABASE_URL": database.service_url,
                "REPORT_BUILDER_AMQP_URL": shared_url(),
                "REPORT_BUILDER_PORT": str(port),
                "SANDBOX_PORT": str(free_port()),
            },
        )
        with running(["bash", "-uc", f"{script}\nwait"], server_folder, {}, url):
            printed = run_session(server_folder, url)
    assert "\ncompleted\n" in printed
