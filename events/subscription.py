"""A subscriber that is part of the service: how far it has come, and that one process acts for it at a time."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from db.pool import Pool

LEASE = 20.0
"""Seconds; the lease is prolonged well before it ends. By the database's clock, and by the process's own no longer."""

TAKE = """
INSERT INTO subscriptions AS s (subscriber, position, holder, held_until)
VALUES ($1, 0, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (subscriber) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
 WHERE s.holder = excluded.holder OR s.held_until < clock_timestamp()
RETURNING position
"""
MOVE = """
UPDATE subscriptions SET position = $4, held_until = clock_timestamp() + make_interval(secs => $5)
 WHERE subscriber = $1 AND holder = $2 AND position = $3
"""
GIVE_BACK = "UPDATE subscriptions SET held_until = clock_timestamp() WHERE subscriber = $1 AND holder = $2"


class SubscriptionLost(Exception):
    """Another process acts for the subscriber by now, or its checkpoint was moved: read it again."""


class Subscription:
    """The checkpoint of one subscriber, and this process's lease of it."""

    def __init__(self, pool: Pool, subscriber: str, *, lease: float = LEASE) -> None:
        self._pool = pool
        self._subscriber = subscriber
        self._lease = lease
        self._holder = uuid4()
        self._position = 0
        self._ends_at = 0.0

    @property
    def position(self) -> int:
        """The checkpoint, as this process has read or moved it last: all events up to it are done."""
        return self._position

    @property
    def left(self) -> float:
        """Seconds for which no other process can act; 0 or less without the lease."""
        return self._ends_at - asyncio.get_running_loop().time()

    async def take(self) -> bool:
        """Takes the lease and reads the checkpoint; False while another process has it."""
        begun = asyncio.get_running_loop().time()
        position = await self._pool.fetchval(TAKE, self._subscriber, self._holder, self._lease)
        if position is None:
            return False
        self._position = position
        self._ends_at = begun + self._lease
        return True

    async def move(self, position: int) -> None:
        """Moves the checkpoint and prolongs the lease. Raises SubscriptionLost, and has then changed nothing."""
        begun = asyncio.get_running_loop().time()
        done = await self._pool.execute(MOVE, self._subscriber, self._holder, self._position, position, self._lease)
        if done != "UPDATE 1":
            self._ends_at = 0.0
            raise SubscriptionLost(self._subscriber)
        self._position = position
        self._ends_at = begun + self._lease

    async def give_back(self) -> None:
        """Lets another process act at once."""
        self._ends_at = 0.0
        await self._pool.execute(GIVE_BACK, self._subscriber, self._holder)
