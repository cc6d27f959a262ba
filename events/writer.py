"""Group commit: what has queued up while the last commit ran goes to the database as one call.

An idle writer waits for nothing. A queue that is full refuses at once, so that its callers can say 503.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from db.pool import DATABASE_AWAY, Pool
from events.append import (
    Appended,
    AppendRequest,
    EncodedRequest,
    append_batch,
)

log = structlog.get_logger()

MAX_BATCH_REQUESTS = 256
MAX_BATCH_BYTES = 8 * 1024 * 1024

# While one batch commits the next is encoded, sent and parsed; a third would only wait for the lock.
BATCHES_IN_FLIGHT = 2


class Overloaded(Exception):
    """More requests wait than the queue holds; try again in a second."""


class LogUnavailable(Exception):
    """The database did not answer for `GIVE_UP_AFTER` seconds. Whether the events were recorded is not known:
    send the same request again, with the same ids."""


GIVE_UP_AFTER = 30.0


class AppendWriter:
    """Appends for all of a process. `on_appended` hears of the last position of each commit; `on_committed`, which
    measures, of how many requests a commit had, the seconds it took, and the types of the events new by it."""

    def __init__(
        self,
        pool: Pool,
        *,
        on_appended: Callable[[int], None] = lambda position: None,
        on_committed: Callable[[int, float, Sequence[str]], None] = lambda requests, seconds, types: None,
        max_queue: int = 4096,
    ) -> None:
        self._pool = pool
        self._on_appended = on_appended
        self._on_committed = on_committed
        self._max_queue = max_queue
        self._queue: deque[tuple[EncodedRequest, asyncio.Future[Appended]]] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._closing = False

    async def append(self, request: AppendRequest) -> Appended:
        """Records the request, durably, and answers where it stands.

        Raises Conflict, HalfKnown, KeyReused, Overloaded, LogUnavailable, and UnstorableText for text that
        JSON or PostgreSQL cannot hold. A caller that is cancelled while it waits leaves its request in the
        queue: it is recorded all the same, as if the answer had been lost on its way.
        """
        encoded = EncodedRequest(request)
        if self._closing:
            raise LogUnavailable("the process is shutting down")
        if len(self._queue) >= self._max_queue:
            raise Overloaded(f"{len(self._queue)} requests wait to be recorded")
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._queue.append((encoded, future))
        self._start_batches()
        return await future

    @property
    def waiting(self) -> int:
        """Requests that no commit has taken yet."""
        return len(self._queue)

    async def close(self) -> None:
        """Records what has queued up, then refuses more."""
        self._closing = True
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    def _start_batches(self) -> None:
        while self._queue and len(self._in_flight) < BATCHES_IN_FLIGHT:
            if self._in_flight and len(self._queue) < MAX_BATCH_REQUESTS // 2:
                return  # the commit under way will find more than this when it ends
            task = asyncio.create_task(self._commit(self._take_batch()))
            self._in_flight.add(task)
            task.add_done_callback(self._batch_done)

    def _batch_done(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._start_batches()

    def _take_batch(self) -> list[tuple[EncodedRequest, asyncio.Future[Appended]]]:
        """What is committed next. A request that is sent twice, by its event or its key, comes in two batches:
        the database finds the second to be a copy only once the first is recorded."""
        batch: list[tuple[EncodedRequest, asyncio.Future[Appended]]] = []
        size = 0
        marks: set[object] = set()
        while self._queue and len(batch) < MAX_BATCH_REQUESTS:
            following = self._queue[0][0]
            size += following.size
            if batch and (size > MAX_BATCH_BYTES or not marks.isdisjoint(following.marks)):
                break
            marks.update(following.marks)
            batch.append(self._queue.popleft())
        return batch

    async def _commit(self, batch: list[tuple[EncodedRequest, asyncio.Future[Appended]]]) -> None:
        deadline = asyncio.get_running_loop().time() + GIVE_UP_AFTER
        try:
            await self._send(batch, deadline)
        except LogUnavailable as error:
            for _, future in batch:
                _settle(future, error)
        except Exception:
            # One request's content failed them all. Each goes alone, in order; its ids make that safe.
            for entry in batch:
                try:
                    await self._send([entry], deadline)
                except Exception as error:
                    _settle(entry[1], error)

    async def _send(self, batch: list[tuple[EncodedRequest, asyncio.Future[Appended]]], deadline: float) -> None:
        resent = False
        begun = asyncio.get_running_loop().time()
        while True:
            try:
                async with self._pool.acquire() as connection:
                    verdicts = await append_batch(connection, [encoded for encoded, _ in batch])
                break
            except DATABASE_AWAY as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise LogUnavailable(f"the database does not answer: {type(error).__name__}") from error
                log.warning("append_resent", requests=len(batch), error=type(error).__name__)
                resent = True
                await asyncio.sleep(0.2)
        last = 0
        new: list[str] = []
        for (encoded, future), verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Appended):
                last = max(last, verdict.last_position)
                if resent and verdict.duplicate and verdict.answer is None:
                    # Our own first try had been recorded: to the caller this is the first answer.
                    verdict = Appended(verdict.first_position, verdict.last_position, verdict.versions)
                if not verdict.duplicate:
                    new += encoded.event_types
            _settle(future, verdict)
        if last:
            self._on_appended(last)
        self._on_committed(len(batch), asyncio.get_running_loop().time() - begun, new)


def _settle(future: asyncio.Future[Appended], verdict: Appended | Exception) -> None:
    if future.done():
        return
    if isinstance(verdict, Exception):
        future.set_exception(verdict)
        future.exception()  # a cancelled caller never asks; asyncio would call that an error
    else:
        future.set_result(verdict)
