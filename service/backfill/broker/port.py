"""The broker as the rest of the program sees it; `memory` and `amqp` are its adapters.

A broker may lose, repeat, delay and reorder messages. Nothing that counts lives in it: a sweeper sends
again what it lost, and fences make repeats harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from service.backfill.broker.messages import Lane, StepMessage

DELAYS = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0)
"""The wait classes, in seconds. A longer wait belongs in the database, which keeps it for certain."""

DELIVERY_LIMIT = 10
"""How often a failed delivery is repeated before it becomes a dead letter: a fuse against crash loops. Workers may be
killed often for reasons that are not the message's: of 8 processes one each second, a step of 2 s meets that every
fourth time, and ten times in a row once in a million."""

CANCEL_TIMEOUT = 5.0
"""Seconds that something cancelled has for its last words; then nobody waits for it any more."""


class PublishFailed(Exception):
    """Some messages were not confirmed in time; each of them may still arrive.

    The remedy is to send `unconfirmed` again later; consumers drop the repeats.
    """

    def __init__(self, unconfirmed: Sequence[StepMessage], reason: str) -> None:
        super().__init__(f"{len(unconfirmed)} messages not confirmed: {reason}")
        self.unconfirmed = tuple(unconfirmed)
        self.reason = reason


class BrokerUnavailable(Exception):
    """The broker cannot be asked right now; asking later helps."""


class BrokerRefused(Exception):
    """The broker is there but refuses us (credentials, queues declared otherwise): retrying is no help."""


class GaveUp(Exception):
    """Raised by a handler that has given a message up for good: it becomes a dead letter at once."""


class DeadLetterNotFound(Exception):
    """No dead letter has this id: it was resent or discarded before."""


class Delivery(msgspec.Struct, frozen=True):
    """One message handed to a handler. `redelivered`: it was handed out before, and may have been done."""

    message: StepMessage
    redelivered: bool


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that was given up. `message` is None where `body` cannot be read.

    `reason` is `delivery_limit` (every attempt at it failed) or `rejected` (unreadable, or given up by its handler);
    `queue` is the work queue it failed in; `died_at` is UTC, None where the broker does not say.
    """

    id: str
    queue: str
    reason: str
    body: bytes
    message: StepMessage | None = None
    died_at: datetime | None = None


Handler = Callable[[Delivery], Awaitable[None]]


class Consumption(Protocol):
    """A running consumer of one process."""

    @property
    def in_progress(self) -> int:
        """Handlers at work now."""
        ...

    async def stop(self, grace: float) -> None:
        """Take no more deliveries and let handlers finish for up to `grace` seconds.

        What is not done then is cancelled and handed back to the broker. May be called twice.
        """
        ...


class Broker(Protocol):
    """Sends and hands out step messages, interactive work on a lane of its own beside bulk work."""

    durable: bool
    """Whether what it holds outlives this process."""

    @property
    def healthy(self) -> bool:
        """Whether publishing and every consumer work now, as far as is known; False before `start`."""
        ...

    async def start(self) -> None:
        """Connect. Returns also where the broker is away: it then keeps trying, and is not healthy.

        Raises BrokerRefused where trying again would not help.
        """
        ...

    async def publish(self, messages: Sequence[StepMessage], *, delay: float = 0) -> None:
        """Send messages; all are confirmed, stored safely, when this returns.

        `delay` in seconds before they are handed out, rounded up to one of DELAYS (beyond the last: that).
        Raises PublishFailed where any was not confirmed within the time-out.
        """
        ...

    async def consume(self, handler: Handler, *, concurrency: int) -> Consumption:
        """Start handing deliveries to `handler`, at most `concurrency` at once, until the result is stopped.

        Each lane has its share of the concurrency (`lane_shares`). A handler that returns is done with the
        delivery; one that raises gets it again, DELIVERY_LIMIT times, then it is a dead letter; with GaveUp, or
        where it cannot be decoded, it is one at once. Losing the broker never cancels a handler.
        """
        ...

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Up to `limit` dead letters, all of which stay. Raises BrokerUnavailable."""
        ...

    async def dead_letter(self, letter_id: str) -> DeadLetter:
        """One of them, which stays. Raises DeadLetterNotFound, BrokerUnavailable."""
        ...

    async def resend_dead_letter(self, letter_id: str) -> None:
        """Put one back into its work queue, its attempts counted anew, as the next order of its fence: a worker would
        take a copy of one that was begun for a repeat, and drop it.

        Raises DeadLetterNotFound, BrokerUnavailable.
        """
        ...

    async def discard_dead_letter(self, letter_id: str) -> None:
        """Delete one for good. Raises DeadLetterNotFound, BrokerUnavailable."""
        ...

    async def depths(self) -> dict[str, int]:
        """Messages waiting in each queue, those being handled not counted. Raises BrokerUnavailable."""
        ...

    async def close(self) -> None:
        """Stop every consumer at once, handing back what it holds, and disconnect."""
        ...


def wait_class(delay: float, delays: Sequence[float] = DELAYS) -> float | None:
    """The wait class for a delay in seconds: the shortest that is not shorter, at most the longest.

    None where nothing is to be waited for.
    """
    if delay <= 0:
        return None
    return next((each for each in delays if each >= delay), delays[-1])


def lane_shares(concurrency: int) -> dict[Lane, int]:
    """How many deliveries of each lane a process may work on at once.

    A quarter is kept for interactive work, so that bulk work never blocks it; a concurrency of one is shared.
    Raises ValueError below one.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    interactive = max(1, concurrency // 4)
    return {"interactive": interactive, "bulk": max(1, concurrency - interactive)}


def lane_slots(concurrency: int) -> dict[Lane, asyncio.Semaphore]:
    """Semaphores that hold handlers to their lane's share, and to `concurrency` altogether."""
    slots = {lane: asyncio.Semaphore(share) for lane, share in lane_shares(concurrency).items()}
    if concurrency == 1:
        slots["bulk"] = slots["interactive"]
    return slots
