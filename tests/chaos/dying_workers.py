"""A worker whose process is killed at one step of one segment, each time, and a supervisor that starts the next:

    python tests/chaos/dying_workers.py POISON_FILE

The file says `<segment id> <step>`; while it is there, whoever begins that dies by SIGKILL, as out of memory. The
supervisor forks its workers, so that each is there in a moment; SIGTERM ends it and the worker that lives.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from service.backfill.steps import STEPS
from service.backfill.turn import Turn
from service.cli import main

Step = Callable[[Turn], Awaitable[None]]


def killing(step: str, take: Step, poison: Path) -> Step:
    """The step, deadly for the segment that the file names with it."""

    async def take_or_die(turn: Turn) -> None:
        if poison.exists():
            segment_id, deadly = poison.read_text().split()
            if turn.segment_id == UUID(segment_id) and step == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
        await take(turn)

    return take_or_die


def supervise(poison: Path) -> NoReturn:
    for step, take in tuple(STEPS.items()):
        STEPS[step] = killing(step, take, poison)
    sys.argv = ["report-builder", "run", "--roles", "worker"]
    while True:
        worker = os.fork()
        if worker == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            main()
            os._exit(0)

        def end(*_: object, worker: int = worker) -> None:
            os.kill(worker, signal.SIGTERM)

        signal.signal(signal.SIGTERM, end)
        _, status = os.waitpid(worker, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
