"""The sandbox's today: the real day, or that of a clock that somebody else keeps and shows over HTTP."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime, timedelta

import aiohttp
import msgspec

REFRESH_INTERVAL = 0.5


class Shown(msgspec.Struct, frozen=True):
    """What the clock's address answers: its instant, and its seconds in a real one."""

    now: datetime
    speed: float


class SandboxClock:
    """Today in UTC, by `url` where one is given, once that has answered; `fixed` is today for ever."""

    def __init__(self, url: str | None = None, fixed: date | None = None) -> None:
        self._url = url
        self.fixed = fixed
        self._shown: Shown | None = None
        self._seen_at = 0.0

    def today(self) -> date:
        if self.fixed is not None:
            return self.fixed
        if self._shown is None:
            return datetime.now(UTC).date()
        passed = timedelta(seconds=(time.monotonic() - self._seen_at) * self._shown.speed)
        return (self._shown.now + passed).astimezone(UTC).date()

    async def run(self) -> None:
        """Follows the address until cancelled, where there is one."""
        while self._url is not None:
            await self.read()
            await asyncio.sleep(REFRESH_INTERVAL)

    async def read(self) -> None:
        """Asks the address; where it does not answer, the clock goes on from what it showed."""
        assert self._url is not None
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
                http.get(self._url) as response,
            ):
                response.raise_for_status()
                self._shown = msgspec.json.decode(await response.read(), type=Shown)
                self._seen_at = time.monotonic()
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            pass
