"""Takes deliveries from RabbitMQ and runs their handlers, whatever becomes of the channel meanwhile.

A handler runs as a task of its own: the library cancels its own callbacks in the middle of their work
when a channel is lost. Such a handler goes on; its acknowledgement then goes nowhere, the broker hands the
message out again, and the handler's own check drops the repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from service.backfill.broker.messages import Lane, StepMessage, UnreadableMessage, decode
from service.backfill.broker.port import CANCEL_TIMEOUT, Delivery, GaveUp, Handler, lane_shares, lane_slots

log = structlog.get_logger(__name__)

SETTLE_TIMEOUT = 5.0
"""Seconds to hand an acknowledgement to the socket."""


class LaneConsumer:
    """One lane's channel and subscription, attached again whenever it is found missing.

    `alarm` is called when the broker takes the subscription or channel away, so that somebody calls
    `attach` soon.
    """

    def __init__(self, queue: str, handler: Handler, share: int, slot: asyncio.Semaphore) -> None:
        self.queue = queue
        self._handler = handler
        self._share = share
        self._slot = slot
        self._channel: AbstractChannel | None = None
        self._tag = ""
        self._subscribed = False
        self._changing = asyncio.Lock()
        self._stopping = False
        self._received = 0
        self._received_before = -1
        self._tasks: set[asyncio.Task[None]] = set()
        self._handling: set[asyncio.Task[None]] = set()

    @property
    def in_progress(self) -> int:
        return len(self._handling)

    @property
    def attached(self) -> bool:
        """Whether, as far as this side knows, the broker sends deliveries here."""
        return self._subscribed and self._channel is not None and not self._channel.is_closed

    def looks_stalled(self, ready: int) -> bool:
        """Whether messages were ready, nothing was at work and none has arrived since the last look.

        `ready` messages wait in the queue now. Said at the second such look, since one may be a moment.
        """
        idle = ready > 0 and not self._tasks
        stalled = idle and self._received == self._received_before
        self._received_before = self._received if idle else -1
        return stalled

    async def attach(self, connection: AbstractConnection, alarm: Callable[[], None]) -> None:
        """Subscribe, on the open channel if there is one: acknowledgements under way stay valid there."""
        async with self._changing:
            if self._stopping or self.attached:
                return
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._open(connection, alarm)
            queue = await self._channel.get_queue(self.queue, ensure=False)
            self._tag = await queue.consume(self._on_message)
            self._subscribed = True
            self._received_before = -1

    async def detach(self) -> None:
        """Drop channel and subscription; what was handed out through it goes back to the queue."""
        async with self._changing:
            self._subscribed = False
            channel, self._channel = self._channel, None
            if channel is not None and not channel.is_closed:
                await _settle(channel.close())

    async def stop(self, grace: float) -> None:
        """See `Consumption.stop`."""
        self._stopping = True
        async with self._changing:
            if self.attached and self._channel is not None:
                underlay = await self._channel.get_underlay_channel()
                await _settle(underlay.basic_cancel(self._tag))
        if self._tasks and grace > 0:
            await asyncio.wait(self._tasks, timeout=grace)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT)
        await self.detach()

    async def _open(self, connection: AbstractConnection, alarm: Callable[[], None]) -> AbstractChannel:
        channel = await connection.channel(publisher_confirms=False)
        # By consumer, not by channel: RabbitMQ 4 has no prefetch shared by several consumers.
        await channel.set_qos(prefetch_count=self._share, global_=False)

        def cancelled(_: object) -> None:
            # All that the library does about a queue that was deleted; the channel stays open.
            if channel is self._channel:
                self._subscribed = False
                alarm()

        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(cancelled)
        channel.close_callbacks.add(lambda *_: alarm())
        return channel

    async def _on_message(self, message: AbstractIncomingMessage) -> None:
        # Never waits, so there is nothing here that the library could cancel.
        self._received += 1
        task = asyncio.create_task(self._work(message), name=f"delivery of {self.queue}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, message: AbstractIncomingMessage) -> None:
        try:
            step = decode(message.body)
        except UnreadableMessage as error:
            log.warning("broker.message_unreadable", queue=self.queue, error=str(error))
            await _settle(message.reject(requeue=False))
            return
        try:
            async with self._slot:
                if self._stopping:
                    raise asyncio.CancelledError
                await self._handle(step, bool(message.redelivered))
        except asyncio.CancelledError:
            # Handed back, not failed: RabbitMQ 4.3 does not count a nack, 3.10 counts both.
            await _settle(message.nack(requeue=True))
        except GaveUp as error:
            log.warning("broker.message_given_up", segment_id=step.segment_id, reason=str(error))
            await _settle(message.reject(requeue=False))
        except Exception:
            log.exception("broker.handler_failed", segment_id=step.segment_id, step=step.step)
            # A reject, since every version counts that towards the delivery limit.
            await _settle(message.reject(requeue=True))
        else:
            await _settle(message.ack())

    async def _handle(self, step: StepMessage, redelivered: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            await self._handler(Delivery(step, redelivered))
        finally:
            self._handling.discard(task)


class AmqpConsumption:
    """The port's `Consumption` over RabbitMQ: a consumer for each lane."""

    def __init__(
        self,
        queues: dict[Lane, str],
        handler: Handler,
        concurrency: int,
        on_stop: Callable[[AmqpConsumption], None],
    ) -> None:
        shares, slots = lane_shares(concurrency), lane_slots(concurrency)
        self.lanes = [LaneConsumer(queues[lane], handler, shares[lane], slots[lane]) for lane in queues]
        self._on_stop = on_stop

    @property
    def in_progress(self) -> int:
        return sum(lane.in_progress for lane in self.lanes)

    async def stop(self, grace: float) -> None:
        self._on_stop(self)
        await asyncio.gather(*(lane.stop(grace) for lane in self.lanes))


async def _settle(answer: Awaitable[object]) -> None:
    """Wait until an answer to the broker is sent or cannot be; never fails, nor is it cut short with us.

    Where the channel is gone the broker hands the message out again, which the handler must bear anyway.
    """
    sending = asyncio.ensure_future(answer)
    await asyncio.wait({sending}, timeout=SETTLE_TIMEOUT)
    if not sending.done():
        sending.cancel()
    elif sending.cancelled() or sending.exception() is not None:
        log.info("broker.answer_not_sent", error=None if sending.cancelled() else repr(sending.exception()))
