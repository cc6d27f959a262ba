"""The embedded broker: one process, nothing outside it, nothing kept after it.

It keeps the port's promises by the same rules as RabbitMQ does (wait classes, delivery limit, dead letters,
one lane's work never blocking the other's), so a program that works with one works with the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import structlog

from service.backfill.broker.messages import LANES, Lane, StepMessage, UnreadableMessage, decode, encode, resent
from service.backfill.broker.port import (
    CANCEL_TIMEOUT,
    DELIVERY_LIMIT,
    DeadLetter,
    DeadLetterNotFound,
    Delivery,
    GaveUp,
    Handler,
    PublishFailed,
    lane_shares,
    lane_slots,
    wait_class,
)
from service.backfill.broker.topology import Topology

log = structlog.get_logger(__name__)


class _Envelope(msgspec.Struct):
    """A message's bytes on their way, as a broker sees them."""

    body: bytes
    lane: Lane
    failures: int = 0
    handed_out: bool = False


class MemoryBroker:
    """The port's `Broker` within one event loop; see there for what each method promises."""

    durable = False

    def __init__(self) -> None:
        # Names only: queues are called the same whichever broker runs.
        self._names = Topology()
        self._ready: dict[Lane, asyncio.Queue[_Envelope]] = {lane: asyncio.Queue() for lane in LANES}
        self._timers: dict[asyncio.TimerHandle, str] = {}
        self._dead: dict[str, tuple[_Envelope, DeadLetter]] = {}
        self._consumptions: set[MemoryConsumption] = set()
        self._open = False

    @property
    def healthy(self) -> bool:
        return self._open

    async def start(self) -> None:
        self._open = True

    async def publish(self, messages: Sequence[StepMessage], *, delay: float = 0) -> None:
        if not self._open:
            raise PublishFailed(messages, "the broker is closed")
        for message in messages:
            self.put(message.lane, encode(message), delay=delay)

    def put(self, lane: Lane, body: bytes, *, delay: float = 0) -> None:
        """Accept raw bytes, as a broker does from anyone; they need not be a message of ours."""
        envelope = _Envelope(body, lane)
        wait = wait_class(delay)
        if wait is None:
            self._ready[lane].put_nowait(envelope)
            return

        def arrive() -> None:
            del self._timers[timer]
            self._ready[lane].put_nowait(envelope)

        timer = asyncio.get_running_loop().call_later(wait, arrive)
        self._timers[timer] = self._names.route(lane, wait)

    async def consume(self, handler: Handler, *, concurrency: int) -> MemoryConsumption:
        consumption = MemoryConsumption(self._ready, self._bury, handler, concurrency)
        self._consumptions.add(consumption)
        return consumption

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return [letter for _, letter in list(self._dead.values())[:limit]]

    async def dead_letter(self, letter_id: str) -> DeadLetter:
        if letter_id not in self._dead:
            raise DeadLetterNotFound(letter_id)
        return self._dead[letter_id][1]

    async def resend_dead_letter(self, letter_id: str) -> None:
        letter = await self.dead_letter(letter_id)
        envelope = self._take_dead(letter_id)
        self.put(envelope.lane, encode(resent(letter.message)) if letter.message else letter.body)

    async def discard_dead_letter(self, letter_id: str) -> None:
        self._take_dead(letter_id)

    async def depths(self) -> dict[str, int]:
        depths = {queue.name: 0 for queue in self._names.declarations()}
        for lane, ready in self._ready.items():
            depths[self._names.work[lane]] = ready.qsize()
        for name in self._timers.values():
            depths[name] += 1
        depths[self._names.dead] = len(self._dead)
        return depths

    async def close(self) -> None:
        self._open = False
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for consumption in tuple(self._consumptions):
            await consumption.stop(grace=0)

    def _bury(self, envelope: _Envelope, reason: str) -> None:
        try:
            message = decode(envelope.body)
        except UnreadableMessage:
            message = None
        letter = DeadLetter(
            id=uuid4().hex,
            queue=self._names.work[envelope.lane],
            reason=reason,
            body=envelope.body,
            message=message,
            died_at=datetime.now(UTC),
        )
        self._dead[letter.id] = (envelope, letter)

    def _take_dead(self, letter_id: str) -> _Envelope:
        try:
            return self._dead.pop(letter_id)[0]
        except KeyError:
            raise DeadLetterNotFound(letter_id) from None


class MemoryConsumption:
    """The port's `Consumption`: for each lane as many workers as its share, each with one delivery."""

    def __init__(
        self,
        ready: dict[Lane, asyncio.Queue[_Envelope]],
        bury: Callable[[_Envelope, str], None],
        handler: Handler,
        concurrency: int,
    ) -> None:
        self._ready = ready
        self._bury = bury
        self._handler = handler
        self._stopping = False
        self._busy: set[asyncio.Task[None]] = set()
        slots = lane_slots(concurrency)
        self._workers = {
            asyncio.create_task(self._work(lane, slots[lane]), name=f"memory broker, {lane} {number}")
            for lane, share in lane_shares(concurrency).items()
            for number in range(share)
        }

    @property
    def in_progress(self) -> int:
        return len(self._busy)

    async def stop(self, grace: float) -> None:
        self._stopping = True
        for worker in self._workers - self._busy:
            worker.cancel()
        if self._busy and grace > 0:
            await asyncio.wait(self._busy, timeout=grace)
        for worker in self._workers:
            worker.cancel()
        await asyncio.wait(self._workers, timeout=CANCEL_TIMEOUT)

    async def _work(self, lane: Lane, slot: asyncio.Semaphore) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        while not self._stopping:
            envelope = await self._ready[lane].get()
            try:
                async with slot:
                    if self._stopping:
                        raise asyncio.CancelledError
                    self._busy.add(worker)
                    await self._handle(envelope)
            except asyncio.CancelledError:
                # Stopped, not failed: handed back without counting.
                self._ready[lane].put_nowait(envelope)
                raise
            finally:
                self._busy.discard(worker)

    async def _handle(self, envelope: _Envelope) -> None:
        redelivered, envelope.handed_out = envelope.handed_out, True
        try:
            await self._handler(Delivery(decode(envelope.body), redelivered))
        except UnreadableMessage as error:
            log.warning("broker.message_unreadable", error=str(error))
            self._bury(envelope, "rejected")
        except GaveUp as error:
            log.warning("broker.message_given_up", reason=str(error))
            self._bury(envelope, "rejected")
        except Exception:
            log.exception("broker.handler_failed", failures=envelope.failures + 1)
            envelope.failures += 1
            if envelope.failures > DELIVERY_LIMIT:
                self._bury(envelope, "delivery_limit")
            else:
                self._ready[envelope.lane].put_nowait(envelope)
