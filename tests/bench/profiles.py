"""Profiles of what is measured, where they are asked for: where processes spend their time, by py-spy, and what
PostgreSQL did for a statement, by EXPLAIN. Taking them costs time: figures of such a run are not to be compared.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

RATE = 200
"""Samples of each process in a second."""


class Profiler:
    """Writes into `folder`; with none it does nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextmanager
    def processes(self, name: str, *pids: int) -> Iterator[None]:
        """Samples these processes and what they start while the block runs, into NAME-PID.txt: a line for each stack
        with its count, as flame graph programs read them."""
        if self._folder is None:
            yield
            return
        program = Path(sys.executable).with_name("py-spy")
        spies = []
        for pid in pids:
            output = self._folder / f"{name.replace(', ', '-').replace(' ', '-')}-{pid}.txt"
            arguments = ("record", "--pid", str(pid), "--rate", str(RATE), "--format", "raw", "--nonblocking")
            command = [str(program), *arguments, "--subprocesses", "--output", str(output)]
            spies.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        try:
            yield
        finally:
            for spy in spies:
                spy.send_signal(signal.SIGINT)
            for spy in spies:
                spy.wait(30)

    async def statement(
        self, name: str, connection: asyncpg.Connection[Any], sql: str, values: Sequence[object] = ()
    ) -> None:
        """EXPLAIN of one statement that is run, and taken back, into NAME.explain.txt."""
        if self._folder is None:
            return
        transaction = connection.transaction()
        await transaction.start()
        try:
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, WAL, VERBOSE) {sql}", *values)
        finally:
            await transaction.rollback()
        text = "\n".join(row[0] for row in rows)
        await asyncio.to_thread((self._folder / f"{name}.explain.txt").write_text, text + "\n")
