"""The worker role: takes one step of one segment for each delivery.

A step loads the segment from the log, acts, appends with the version that it has seen, sends the next order,
and only then is the delivery acknowledged. Killed between any two of these lines, it is delivered again or
its lease ends; whoever comes next finds in the log how far it came.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from db.pool import DATABASE_AWAY, end_if_cancelled
from events.append import Conflict
from events.envelope import stream_of
from events.reader import read_stream
from events.writer import LogUnavailable, Overloaded
from service.backfill.broker.port import Consumption, Delivery
from service.backfill.orders import Orders
from service.backfill.segment import segment_of
from service.backfill.steps import take
from service.backfill.turn import LeaseLost, Tools, Turn
from service.operations import metrics

log = structlog.get_logger()

# The database is away: the delivery is kept until it is back, as giving it back would only wear it out.
UNREACHABLE = (*DATABASE_AWAY, LogUnavailable, Overloaded)
DATABASE_PAUSE = 1.0


class Worker:
    """One process's worker."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._orders = Orders(tools.pool)

    async def start(self) -> Consumption:
        """Begins to take deliveries; stop the answer to end."""
        return await self._tools.broker.consume(self.handle, concurrency=self._tools.settings.worker_concurrency)

    async def handle(self, delivery: Delivery) -> None:
        """Takes the step that is next for the delivery's segment, or none where the order is out of date."""
        again = delivery.redelivered
        while True:
            try:
                await self._take_step(delivery, again)
                return
            except UNREACHABLE as error:
                end_if_cancelled(error)
                log.warning("worker_waits_for_database", error=type(error).__name__)
                await asyncio.sleep(DATABASE_PAUSE)
                again = True

    async def _take_step(self, delivery: Delivery, again: bool) -> None:
        tools, message = self._tools, delivery.message
        lease_ends = asyncio.get_running_loop().time() + tools.settings.lease_margin
        segment_id = UUID(message.segment_id)
        begun = await tools.pool.fetchval(
            "SELECT begin_step($1, $2, $3, $4, $5, $6)",
            segment_id,
            message.fence,
            message.step,
            message.sequence,
            again,
            tools.settings.lease_margin,
        )
        if not begun:
            return
        segment = segment_of(await read_stream(tools.pool, stream_of("segment", segment_id)))
        if segment.fence != message.fence or segment.step is None:
            return
        assert segment.collection_id is not None
        order = await self._orders.order(segment.collection_id)
        turn = Turn(tools, message, segment, order, await self._orders.standing(segment.collection_id), lease_ends)
        with structlog.contextvars.bound_contextvars(segment_id=message.segment_id, step=segment.step):
            try:
                with metrics.step_timed(segment.step):
                    async with turn.kept_lease():
                        await take(turn)
            except (Conflict, LeaseLost):
                log.info("step_overtaken")  # another holds a newer fence, and goes on from what is recorded
