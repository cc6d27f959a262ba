"""The log to RabbitMQ: each event once, in order, for programs that read it there.

One process sends at a time. It goes on from the lower of its checkpoint and the last event in the stream queue, so
that what the broker has lost is sent again, and so is what had been sent when a process died before it could save how
far it was. A repeat has the same `sequence`; an event is left out only where it was sent once and is older than what
the queue keeps.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.envelope import RecordedEvent
from events.feed import Feed
from events.rounds import Rounds
from events.subscription import Subscription, SubscriptionLost
from service.backfill.broker.log_sender import LOG_AWAY, TIMEOUT, LogMessage, LogSender, NotConfirmed
from service.backfill.broker.port import BrokerRefused
from service.operations import metrics
from service.stream.cloudevents import cloud_event

log = structlog.get_logger()

SUBSCRIBER = "amqp"

BATCH = 250
"""Events that are under way at once."""

SAVE_EVERY = 1.0
"""Seconds between two checkpoints: what is sent again after a crash."""

PROLONG_EVERY = 5.0
LOOK_EVERY = 10.0
"""Seconds between two looks whether the stream queue is still there."""

RETRY_AFTER = 1.0

OLDEST_KEPT = "SELECT position_before(clock_timestamp() - make_interval(days => $1))"


class QueueGone(Exception):
    """The stream queue was deleted: what was sent since then is in nobody's hands."""


IN_THE_WAY = (SubscriptionLost, QueueGone, NotConfirmed, BrokerRefused, *LOG_AWAY, *DATABASE_ERRORS)


class LogPublisher:
    """One process's publisher; it sends while it has the lease. `problem` says why it cannot, null where it can."""

    def __init__(self, pool: Pool, feed: Feed, sender: LogSender) -> None:
        self._pool = pool
        self._feed = feed
        self._sender = sender
        self._subscription = Subscription(pool, SUBSCRIBER)
        self.problem: str | None = None
        self.rounds = Rounds()

    async def run(self) -> None:
        """Sends what the log gains, until it is stopped or cancelled; outlives both broker and database."""
        await self._sender.start()
        try:
            while not self.rounds.stopping:
                try:
                    if await self._subscription.take():
                        await self._lead()
                    else:
                        self._stand_by()
                except IN_THE_WAY as error:
                    end_if_cancelled(error)
                    self.problem = str(error) or repr(error)
                    log.warning("publisher_interrupted", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_AFTER)
        finally:
            with suppress(*DATABASE_ERRORS):
                await self._subscription.give_back()
            await self._sender.close()

    def _stand_by(self) -> None:
        """Another process has the lease, and what could not be sent is its task."""
        self.problem = None
        if self.rounds.unfinished_since is not None:
            self.rounds.end()

    async def _lead(self) -> None:
        """Sends, from where the broker has it, until something is in the way."""
        try:
            sent = await self._begin()
            self.problem = None
            await self._send_from(sent)
        except (NotConfirmed, QueueGone, *LOG_AWAY):
            self._sender.drop()
            raise

    async def _begin(self) -> int:
        """Declares what there must be; answers the position to go on behind."""
        checkpoint = self._subscription.position
        there = await self._sender.queue_there()
        await self._sender.declare()
        last = await self._sender.last_sequence() if there and checkpoint else 0
        if not last:
            last = await self._pool.fetchval(OLDEST_KEPT, self._sender.topology.days)
        after = min(checkpoint, last)
        log.info("publisher_began", after=after, checkpoint=checkpoint)
        if after < checkpoint:
            await self._subscription.move(after)
        return after

    async def _send_from(self, sent: int) -> None:
        loop = asyncio.get_running_loop()
        saved_at = looked_at = loop.time()
        try:
            while not self.rounds.stopping:
                now = loop.time()
                due = SAVE_EVERY if sent > self._subscription.position else PROLONG_EVERY
                if now - saved_at >= due or self._subscription.left < TIMEOUT:
                    await self._subscription.move(sent)
                    saved_at = now
                if now - looked_at >= LOOK_EVERY:
                    if not await self._sender.queue_there():
                        raise QueueGone(f"the queue {self._sender.topology.queue.name} was deleted")
                    looked_at = now
                if self._feed.head <= sent:
                    await self._feed.wait_beyond(sent, timeout=SAVE_EVERY)
                    continue
                events = await self._feed.read(sent, BATCH)
                self.rounds.begin()
                await self._sender.send([self._message(event) for event in events])
                self.rounds.end()
                metrics.published(len(events))
                sent = events[-1].position
        finally:
            # What is confirmed is not sent again by whoever comes next.
            if sent > self._subscription.position and self._subscription.left > 0:
                with suppress(SubscriptionLost, *DATABASE_ERRORS):
                    await self._subscription.move(sent)

    def _message(self, event: RecordedEvent) -> LogMessage:
        return LogMessage(cloud_event(event, self._feed.epochs), event.event_type, str(event.id), event.recorded_at)
