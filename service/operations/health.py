"""Whether a process is alive, and whether it can work: what `/healthz` and `/readyz` answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from db.pool import Pool
from events.reader import read_head
from events.rounds import Rounds
from projections.runner import read_checkpoint
from service.endpoints import Answer

STUCK_AFTER = 60.0
"""Seconds in which no round of a role has ended; one that waits for work is not in a round."""

PATIENCE = 3.0
"""Seconds that the database has to answer; who asks waits not much longer."""


class Liveness(Answer, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(Answer, frozen=True, kw_only=True):
    """Whether the process can work. `problems` says by part what is wrong, and `projection_behind` how many
    events the read models have not applied yet."""

    status: Literal["ready", "unready"]
    problems: dict[str, str]
    projection_behind: int | None


class Health:
    """What is wrong with the parts of one process, asked anew each time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._checks: dict[str, Callable[[], str | None]] = {}
        self.rounds: dict[str, Rounds] = {}
        """Of each role that works in rounds, by its name."""
        self.started = False
        self.stopping = False

    def check(self, part: str, check: Callable[[], str | None]) -> None:
        """`check` says what is wrong with the part, None where nothing is."""
        self._checks[part] = check

    async def readiness(self) -> Readiness:
        """Where the process stands now."""
        problems = {}
        for role, rounds in self.rounds.items():
            if rounds.unfinished > STUCK_AFTER:
                problems[role] = f"no round has ended for {rounds.unfinished:.0f} s"
        problems |= {part: problem for part, check in self._checks.items() if (problem := check())}
        behind = None
        try:
            async with asyncio.timeout(PATIENCE):
                applied = await read_checkpoint(self._pool)
                behind = await read_head(self._pool) - applied
        except Exception as error:
            problems["database"] = type(error).__name__
        if self.stopping:
            problems["process"] = "shutting down"
        elif not self.started:
            problems["process"] = "starting"
        return Readiness(status="unready" if problems else "ready", problems=problems, projection_behind=behind)
