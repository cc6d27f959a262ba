"""A rate of requests, kept by waiting."""

from __future__ import annotations

import asyncio


class Throttle:
    """At most `rate` requests per second, after a burst of one second's worth; awaited before each request."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._burst = 1.0
        # The time at which the request that comes next would be exactly on the rate (GCRA).
        self._due = 0.0

    async def __call__(self) -> None:
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now - self._burst) + self._interval
        if (wait := self._due - now) > 0:
            await asyncio.sleep(wait)
