"""The worker role: takes one step of one segment for each delivery.

A step loads the segment from the log, acts, appends with the version that it has seen, sends the next order,
and only then is the delivery acknowledged. Killed between any two of these lines, it is delivered again or
its lease ends; whoever comes next finds in the log how far it came.

A step that kills its worker each time it is begun would go round for ever: the lease counts how often it was begun
without coming to anything, and beyond DELIVERY_LIMIT the segment stalls and the delivery becomes a dead letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from db.pool import DATABASE_AWAY, end_if_cancelled
from db.together import Together
from events.append import AppendRequest, Conflict, Write
from events.envelope import stream_of
from events.types.segment import Stalled
from events.writer import LogUnavailable, Overloaded
from service.amc.accounts import account_of
from service.backfill.broker.messages import StepMessage
from service.backfill.broker.port import DELIVERY_LIMIT, Consumption, Delivery, GaveUp
from service.backfill.orders import Orders
from service.backfill.segment import Segment, segment_of
from service.backfill.steps import take
from service.backfill.turn import LeaseLost, Tools, Turn, event_of
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
        self._beginning: Together[tuple[Delivery, bool], int | None] = Together(self._begin_together)
        self._alone = asyncio.Lock()

    async def start(self) -> Consumption:
        """Begins to take deliveries; stop the answer to end."""
        return await self._tools.broker.consume(self.handle, concurrency=self._tools.settings.worker_concurrency)

    async def handle(self, delivery: Delivery) -> None:
        """Takes the step that is next for the delivery's segment, or none where the order is out of date. Raises GaveUp
        where the segment has stalled."""
        if not delivery.redelivered:
            await self._take_step_once(delivery)
            return
        # It may have killed the worker that had it before. One such at a time, so that none shares another's fate
        # and is taken for its cause.
        async with self._alone:
            await self._take_step_once(delivery)

    async def _take_step_once(self, delivery: Delivery) -> None:
        survived = False
        while True:
            try:
                await self._take_step(delivery, survived)
                return
            except UNREACHABLE as error:
                end_if_cancelled(error)
                log.warning("worker_waits_for_database", error=type(error).__name__)
                await asyncio.sleep(DATABASE_PAUSE)
                survived = True

    async def _take_step(self, delivery: Delivery, survived: bool) -> None:
        tools, message = self._tools, delivery.message
        lease_ends = asyncio.get_running_loop().time() + tools.settings.lease_margin
        begun = await self._begin(delivery, survived)
        if not begun:
            return
        order = await self._orders.order(UUID(message.collection_id))
        of_segment, of_collection, of_account = await tools.streams.read(
            (stream_of("segment", message.segment_id), 0),
            (stream_of("collection", message.collection_id), order.standing.version),
            (stream_of("account", order.account_id), 0),
        )
        segment = segment_of(of_segment)
        if segment.fence != message.fence or segment.step is None:
            return
        if segment.stalled or begun > DELIVERY_LIMIT:
            await self._give_up(message, segment, begun - 1)
            return
        account = account_of(order.account_id, of_account)
        turn = Turn(tools, message, segment, order, order.standing_after(of_collection), account, lease_ends)
        with structlog.contextvars.bound_contextvars(segment_id=message.segment_id, step=segment.step):
            try:
                with metrics.step_timed(segment.step):
                    async with turn.kept_lease():
                        await take(turn)
            except (Conflict, LeaseLost):
                log.info("step_overtaken")  # another holds a newer fence, and goes on from what is recorded

    async def _begin(self, delivery: Delivery, survived: bool) -> int:
        """How often in a row the work of the delivery's segment has been begun, 0 where it is not to be: see
        begin_step.sql."""
        begun = await self._beginning.ask((delivery, survived))
        if begun is not None:
            return begun
        message = delivery.message
        return await self._tools.pool.fetchval(  # type: ignore[no-any-return]
            "SELECT begin_step($1, $2, $3, $4, $5, $6, $7)",
            UUID(message.segment_id),
            message.fence,
            message.step,
            message.sequence,
            delivery.redelivered,
            self._tools.settings.lease_margin,
            survived,
        )

    async def _begin_together(self, asked: Sequence[tuple[Delivery, bool]]) -> list[int | None]:
        messages = [delivery.message for delivery, _ in asked]
        return await self._tools.pool.fetchval(  # type: ignore[no-any-return]
            "SELECT begin_steps($1, $2, $3, $4, $5, $6, $7)",
            [UUID(message.segment_id) for message in messages],
            [message.fence for message in messages],
            [message.step for message in messages],
            [message.sequence for message in messages],
            [delivery.redelivered for delivery, _ in asked],
            self._tools.settings.lease_margin,
            [survived for _, survived in asked],
        )

    async def _give_up(self, message: StepMessage, segment: Segment, tries: int) -> None:
        """Raises GaveUp once it is recorded that the segment has stalled."""
        if segment.stalled:
            raise GaveUp("its segment has stalled")
        assert segment.step is not None
        assert segment.collection_id is not None
        error = f"its workers failed or died {tries} times in a row at the step {segment.step}"
        stalled = Stalled(segment.collection_id, segment.attempt, segment.step, tries, segment.in_flight, error)
        write = Write(stream_of("segment", message.segment_id), segment.version, (event_of(segment, stalled),))
        try:
            await self._tools.writer.append(AppendRequest((write,)))
        except Conflict:
            return  # another holds a newer fence: this order is out of date
        raise GaveUp(error)
