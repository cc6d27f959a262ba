"""One person's requests under one policy, as this process sees them.

The database counts; whoever has been counted may be served. Requests that arrive together are counted together,
and a busy process lets some be counted ahead, so that most cost no round trip. What was counted ahead is worth
nothing after its slice of time: it may be lost, by a crash too, but never served later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID

from db.pool import Pool
from service.rates.policies import Policy, Standing

MAX_AHEAD = 64

# A database that is silent for so long is away; its caller hears 503, as from any other route.
TAKE_TIMEOUT = 5.0

TAKE = "SELECT * FROM take_requests($1, $2, $3, $4, $5, $6)"


class Bucket:
    """Gives out the requests of one person under one policy."""

    def __init__(self, pool: Pool, user_id: UUID, policy: Policy) -> None:
        self._pool = pool
        self._user_id = user_id
        self._policy = policy
        self._waiting: deque[asyncio.Future[Standing]] = deque()
        self._taking: asyncio.Task[None] | None = None
        self._ahead = 0
        # Counted and not served yet, until `_held_until` on the loop's clock.
        self._held = 0
        self._held_until = 0.0
        # As of the last take: what the database had left, and when the oldest that counts is forgotten.
        self._left = 0
        self._resets_at = 0.0
        self._exhausted = False
        self.used_at = 0.0

    @property
    def idle(self) -> bool:
        return self._taking is None

    async def take(self) -> Standing:
        """Where the person stands after one more request. Raises what asyncpg does where the database is away."""
        now = self.used_at = asyncio.get_running_loop().time()
        # Those who came first go first: while somebody waits, nobody passes him.
        if not self._waiting and (standing := self._at_once(now)):
            return standing
        future: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._taking is None:
            self._taking = asyncio.create_task(self._take_for_all())
        return await future

    def _at_once(self, now: float) -> Standing | None:
        """The answer that needs no round trip: one counted ahead, or a refusal that still holds."""
        if self._held and now < self._held_until:
            self._held -= 1
            return self._standing(now)
        if self._exhausted and now < self._resets_at:
            return self._standing(now, refused=True)
        return None

    def _standing(self, now: float, *, refused: bool = False) -> Standing:
        return Standing(self._policy, self._left + self._held, max(self._resets_at - now, 0), refused)

    async def _take_for_all(self) -> None:
        try:
            while self._waiting:
                batch = list(self._waiting)
                try:
                    granted = await self._take(len(batch))
                except Exception as error:
                    self._settle(len(batch), error)
                    continue
                now = asyncio.get_running_loop().time()
                self._settle(granted, self._standing(now))
                self._settle(len(batch) - granted, self._standing(now, refused=True))
                while self._waiting and (standing := self._at_once(now)):
                    self._settle(1, standing)
        finally:
            self._taking = None

    async def _take(self, needed: int) -> int:
        """Has so many counted; answers for how many there was room."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        # What was counted ahead last time is used up before its end: so more would have been too.
        busy = self._held == 0 and sent_at < self._held_until
        self._ahead = min(max(1, self._ahead * 2), MAX_AHEAD) if busy else 0
        self._held = 0
        async with asyncio.timeout(TAKE_TIMEOUT):
            row = await self._pool.fetchrow(
                TAKE, self._user_id, self._policy.key, needed, self._ahead, self._policy.quota, self._policy.window
            )
        assert row is not None
        granted: int = row["granted"]
        self._held = max(granted - needed, 0)
        # From before the question: the slice ends by the database's clock, which answered later.
        self._held_until = sent_at + row["slice_left"]
        self._left = row["remaining"]
        self._resets_at = loop.time() + row["resets_in"]
        self._exhausted = granted < needed
        return min(granted, needed)

    def _settle(self, count: int, outcome: Standing | Exception) -> None:
        for _ in range(count):
            future = self._waiting.popleft()
            if future.done():  # its caller has gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
