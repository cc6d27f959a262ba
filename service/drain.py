"""The end of a program: whatever is under way may finish, all of it at once, in one grace time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

Stop = Callable[[float], Awaitable[None]]
"""Takes no more work, and comes back when what is under way has ended or, after so many seconds, been handed back."""


class Drain:
    """The parts that have work under way. `grace`: seconds that each of them gets."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._stops: dict[str, Stop] = {}

    def add(self, part: str, stop: Stop) -> None:
        """The part is stopped together with all others."""
        self._stops[part] = stop

    async def run(self) -> None:
        """Stops every part, at the same time; one that fails stops no other."""
        outcomes = await asyncio.gather(*(stop(self._grace) for stop in self._stops.values()), return_exceptions=True)
        for part, outcome in zip(self._stops, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                log.error("not_drained", part=part, exc_info=outcome)
