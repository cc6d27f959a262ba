"""The admission role: gives slots, sends again what was lost, ends what was cancelled, and declares collections
finished.

Any number of processes may run it; the database decides who gives which slot.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.append import AppendRequest, Conflict, Write
from events.envelope import Metadata, NewEvent, new_id, stream_of
from events.feed import Feed
from events.rounds import Rounds
from events.types.collection import CollectionFinished, CollectionHeld
from events.types.segment import Cancelled
from events.writer import AppendWriter, LogUnavailable, Overloaded
from projections.runner import wait_projected
from service.backfill.broker.messages import StepMessage
from service.backfill.broker.port import Broker, PublishFailed
from service.operations import metrics
from service.settings import Settings
from service.teams.limits import backfill_ended
from service.words import counted

log = structlog.get_logger()

UNREACHABLE = (
    *DATABASE_ERRORS,
    PublishFailed,
    LogUnavailable,
    Overloaded,
)

HOUSEKEEPING_INTERVAL = 3600.0
FORGET = "SELECT forget_idempotency_keys(), forget_credentials(), forget_slot_turns()"

# Segments that one look ends; the next goes on. The writer takes more, but not at the cost of what else it has.
CANCEL_BATCH = 500

# What cancelled collections have waiting or stalled.
CANCELLED = (
    "SELECT w.segment_id, w.collection_id, w.stream_version, w.attempts, c.team_id, c.user_id, c.workflow_id"
    "  FROM report_data_collections c JOIN report_data_weeks w USING (collection_id)"
    " WHERE c.cancelled IS NOT NULL AND c.finished_at IS NULL"
    "   AND CASE WHEN w.stalled IS NOT NULL THEN NOT (w.stalled ->> 'in_flight')::boolean"
    "            ELSE w.status IN ('pending', 'waiting')"
    "             AND NOT EXISTS (SELECT FROM segment_leases l WHERE l.segment_id = w.segment_id) END"
    " LIMIT $1"
)
FAILING = (
    "SELECT collection_id, team_id, user_id, workflow_id, stream_version, segments_failed"
    "  FROM report_data_collections"
    " WHERE finished_at IS NULL AND held IS NULL AND cancelled IS NULL AND backfill_status = 'in_progress'"
    "   AND segments_failed >= stop_at_failures"
)
ENDED = (
    "SELECT collection_id, team_id, user_id, workflow_id, lane, backfill_status, stream_version,"
    "       segments_total, segments_completed, segments_failed, row_count, cancelled IS NOT NULL AS cancelled"
    "  FROM report_data_collections"
    " WHERE finished_at IS NULL AND backfill_status IN ('completed', 'partial', 'failed')"
)

# Slots that one call may give. The looking costs the same for one as for all, the giving 0.2 ms each, in which nobody
# else appends.
BATCH = 200

# Leases that one call renews, each with an append of its own.
RENEWED = 50


class Admission:
    """One process's admission, over all collections."""

    def __init__(self, pool: Pool, feed: Feed, writer: AppendWriter, broker: Broker, settings: Settings) -> None:
        self._pool = pool
        self._feed = feed
        self._writer = writer
        self._broker = broker
        self._settings = settings
        self._unsent: tuple[StepMessage, ...] = ()
        self.rounds = Rounds()

    async def run(self) -> None:
        """Admits whenever the log moves, and at least every `admission_interval` seconds, until it is stopped."""
        loop = asyncio.get_running_loop()
        interval = self._settings.admission_interval
        renew_at = housekeep_at = 0.0
        lost = not self._broker.durable
        while not self.rounds.stopping:
            seen = self._feed.head
            self.rounds.begin()
            try:
                # What the log has just told is worth little before the read models know it too.
                await wait_projected(self._pool, seen, timeout=interval)
                if lost:
                    # A broker that keeps nothing starts empty: whatever was on its way before must be sent again.
                    await self._pool.execute("UPDATE segment_leases SET lease_until = clock_timestamp()")
                    lost = False
                recalled = await self.cancel()
                unsent = None
                try:
                    await self.send_unsent()
                    if recalled or loop.time() >= renew_at:
                        await self.renew()
                        renew_at = loop.time() + interval
                    while await self.admit() == BATCH and not self.rounds.stopping:
                        pass
                except PublishFailed as error:
                    unsent = error  # what needs no broker goes on without it
                await self.hold()
                await self.finish()
                if unsent:
                    raise unsent
                if loop.time() >= housekeep_at:
                    await self._pool.execute(FORGET)
                    housekeep_at = loop.time() + HOUSEKEEPING_INTERVAL
            except UNREACHABLE as error:
                end_if_cancelled(error)
                log.warning("admission_waits", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(interval)
                continue
            metrics.admission_round_ended(self.rounds.end())
            await self._feed.wait_beyond(seen, timeout=interval)

    async def admit(self) -> int:
        """Gives free slots and publishes the orders; answers how many."""
        rows = await self._pool.fetch("SELECT * FROM admit_segments($1, $2)", _ids(BATCH), self._settings.lease_margin)
        metrics.dispatched("admitted", len(rows))
        await self._publish(rows)
        return len(rows)

    async def renew(self) -> int:
        """Sends the current step again, under a new fence, of every segment whose lease has ended."""
        total = 0
        while True:
            rows = await self._pool.fetch(
                "SELECT * FROM renew_expired_leases($1, $2)", _ids(RENEWED), self._settings.lease_margin
            )
            if rows:
                log.info("leases_renewed", segments=len(rows))
            metrics.dispatched("lease_expired", len(rows))
            await self._publish(rows)
            total += len(rows)
            if len(rows) < RENEWED:
                return total

    async def send_unsent(self) -> None:
        """Sends what the broker did not take before. Raises PublishFailed while it takes nothing: no more slots are
        given then, and no lease is renewed."""
        await self._send(self._unsent)

    async def cancel(self) -> int:
        """Ends what cancelled collections have waiting or stalled, and recalls the leases of what they have at work,
        to be renewed at once: the next step finds the cancellation. Answers how many leases."""
        rows = await self._pool.fetch(CANCELLED, CANCEL_BATCH)
        ends = await asyncio.gather(*(self._writer.append(_cancellation(row)) for row in rows), return_exceptions=True)
        for end in ends:
            # A conflict is one that has just been given a slot: its lease is recalled.
            if isinstance(end, BaseException) and not isinstance(end, Conflict):
                raise end
        return await self._pool.fetchval("SELECT recall_cancelled()")  # type: ignore[no-any-return]

    async def hold(self) -> None:
        """Holds each collection of which so many segments have failed that a person must look at it first."""
        rows = await self._pool.fetch(FAILING)
        for row in rows:
            failed = counted(row["segments_failed"], "segment")
            held = _event_of(row, CollectionHeld("too_many_failures", None, f"{failed} failed"))
            with contextlib.suppress(Conflict):  # another process was first, or the collection has moved on
                stream = stream_of("collection", row["collection_id"])
                await self._writer.append(AppendRequest((Write(stream, row["stream_version"], (held,)),)))

    async def finish(self) -> None:
        """Records the end of each collection whose segments have all come to theirs."""
        rows = await self._pool.fetch(ENDED)
        for row in rows:
            event = NewEvent(
                data=CollectionFinished(
                    backfill_status=row["backfill_status"],
                    segments=row["segments_total"],
                    completed=row["segments_completed"],
                    failed=row["segments_failed"],
                    rows=row["row_count"],
                ),
                team_id=row["team_id"],
                workflow_id=row["workflow_id"],
                metadata=Metadata(correlation_id=str(row["collection_id"])),
            )
            writes = [Write(stream_of("collection", row["collection_id"]), row["stream_version"], (event,))]
            if row["lane"] == "bulk" and not row["cancelled"]:  # that has counted to the cancellation
                writes.append(backfill_ended(row["team_id"], row["user_id"], row["collection_id"]))
            try:
                await self._writer.append(AppendRequest(tuple(writes)))
            except Conflict:
                continue  # another process was first, or the collection has moved on

    async def _publish(self, rows: Sequence[asyncpg.Record]) -> None:
        if not rows:
            return
        self._feed.appended(max(row["last_position"] for row in rows))
        await self._send([_first_message(row) for row in rows])

    async def _send(self, messages: Sequence[StepMessage]) -> None:
        """Publishes orders. What the broker does not take is kept, to be sent again before any other; should this
        process end before that, their leases end too. Raises PublishFailed."""
        if not messages:
            return
        try:
            await self._broker.publish(messages)
        except PublishFailed as failed:
            self._unsent = failed.unconfirmed
            raise
        self._unsent = ()


def _event_of(row: Any, data: msgspec.Struct) -> NewEvent:
    """An event on behalf of the collection's owner."""
    return NewEvent(
        data=data,
        team_id=row["team_id"],
        user_id=row["user_id"],
        workflow_id=row["workflow_id"],
        metadata=Metadata(correlation_id=str(row["collection_id"])),
    )


def _cancellation(row: Any) -> AppendRequest:
    event = _event_of(row, Cancelled(row["collection_id"], row["attempts"]))
    return AppendRequest((Write(stream_of("segment", row["segment_id"]), row["stream_version"] or "none", (event,)),))


def _first_message(row: Any) -> StepMessage:
    return StepMessage(
        segment_id=str(row["segment_id"]),
        collection_id=str(row["collection_id"]),
        team_id=row["team_id"],
        step=row.get("step", "submit"),
        fence=row["fence"],
        sequence=1,
        lane=row["lane"],
    )


def _ids(count: int) -> list[Any]:
    return [new_id() for _ in range(count)]
