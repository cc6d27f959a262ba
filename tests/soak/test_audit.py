"""A log of a million events, exported and verified: how fast, in how much memory, and each forgery found in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import asyncpg
import msgspec
import pytest

from events.tree.notes import SigningKey
from report_builder_verify.bundle import Bundle
from tests.forger import (
    FORGERIES_OF_ALL,
    FORGERIES_OF_EVENTS,
    FORGERIES_OF_THE_LOG,
    NAME,
    Stage,
    exported,
    read_kept,
    verified,
)
from tests.postgres import Server

EVENTS = 1_000_000
HEADS = 1000
MOST_MEMORY = 300 * 1024 * 1024

# The columns are each tried with 20,000 events; one of the leaf's and one of the bodies' is enough here.
FORGERIES = {
    name: forgery
    for name, forgery in (FORGERIES_OF_EVENTS | FORGERIES_OF_THE_LOG).items()
    if not name.startswith("a changed ") or name in ("a changed workflow_id", "a changed configuration")
}


async def test_a_million_events_are_verified_and_every_forgery_of_them_is_found(
    postgres_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="", flush=True)

    async with postgres_server.fresh_database() as database:
        stage = Stage(database, EVENTS, HEADS, SigningKey.generate(NAME))
        await stage.build()
        owner = await asyncpg.connect(database.admin_url)
        began = time.perf_counter()
        file = await exported(owner, tmp_path / "log.zip")
        seconds = time.perf_counter() - began
        tell(f"exported {EVENTS:,} events at {EVENTS / seconds:,.0f}/s, {file.stat().st_size:,} bytes")
        _measure(file, stage, tell)
        kept = await read_kept(owner, EVENTS)
        for name, (forge, where) in (FORGERIES | FORGERIES_OF_ALL).items():
            transaction = owner.transaction()
            await transaction.start()
            await owner.execute("SET LOCAL session_replication_role = replica")
            await forge(owner, stage)
            file = await exported(owner, tmp_path / "forged.zip")
            await transaction.rollback()
            findings = verified(file, stage.key, *([kept] if name in FORGERIES_OF_ALL else []))
            assert (findings.outcome, (findings.first, findings.last)) == ("tampered", where(stage)), name
            tell(f"{name}: found at {findings.first} to {findings.last}, {findings.reason}")
        await owner.close()


def _measure(file: Path, stage: Stage, tell: Callable[[str], None]) -> None:
    """Verifies it in a process of its own, as an auditor does."""
    command = [sys.executable, "-m", "report_builder_verify", str(file), "--key", stage.key.verifier.text, "--json"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        findings = msgspec.json.decode(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    memory = usage.ru_maxrss * 1024
    assert (process.returncode, findings["outcome"], findings["heads_checked"]) == (0, "sound", HEADS), findings
    ratio = _hashing(file) / seconds
    tell(f"verified at {EVENTS / seconds:,.0f}/s, {ratio:.2f} of hashing alone; {memory / 1024**2:.0f} MiB")
    assert memory < MOST_MEMORY


def _hashing(file: Path) -> float:
    """Seconds that the same hashes take, without anything else: of each leaf, of its two bodies, of a node."""
    pair = bytes(65)
    seconds = 0.0
    with Bundle(file) as bundle:
        for run in bundle.events():
            began = time.perf_counter()
            for event in zip(*run, strict=True):
                for line in event:
                    sha256(line).digest()
                sha256(pair).digest()
            seconds += time.perf_counter() - began
    return seconds
