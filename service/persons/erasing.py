"""Erasing a person: the keys, what they are called, their sessions, and the event, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.append import Appended, AppendRequest, EncodedRequest, append_batch
from events.feed import Feed

log = structlog.get_logger()

ERASED = "person.erased"
RETRY_AFTER = 1.0


class Erasing:
    """Erases in the database; `on_appended` hears of the position of each erasure."""

    def __init__(self, pool: Pool, on_appended: Callable[[int], None]) -> None:
        self._pool = pool
        self._on_appended = on_appended

    async def erase(self, user_id: UUID, request: AppendRequest) -> Appended:
        """Deletes what says who the person is and what opens what they wrote, and records the request, or does
        neither: killed at any line, all of it or nothing has happened. Raises Conflict, HalfKnown and KeyReused."""
        encoded = EncodedRequest(request)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT erase_person($1)", user_id)
            (verdict,) = await append_batch(connection, [encoded])
            if not isinstance(verdict, Appended):
                raise verdict
            # What was answered to them between the first look and the lock of the append.
            await connection.execute("SELECT forget_answers($1, now() - interval '1 minute')", user_id)
        self._on_appended(verdict.last_position)
        log.info("person_erased", user_id=str(user_id))
        return verdict


async def follow_erasures(feed: Feed, forget: Callable[[UUID], None]) -> None:
    """Calls `forget` with each person who is erased, until cancelled: what this process remembers of them ends."""
    position = feed.head
    while True:
        await feed.wait_beyond(position)
        try:
            events = await feed.read(position)
        except DATABASE_ERRORS as error:
            end_if_cancelled(error)
            log.warning("erasures_wait", error=type(error).__name__)
            await asyncio.sleep(RETRY_AFTER)
            continue
        for event in events:
            if event.event_type == ERASED:
                forget(UUID(event.entity_id))
            position = event.position
