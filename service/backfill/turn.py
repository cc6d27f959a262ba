"""One delivery's turn at a segment: what a step knows, and the ways in which it can go on."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.append import AppendRequest, IdempotencyKey, Write
from events.configurations import ParameterValues
from events.envelope import Metadata, NewEvent, stream_of
from events.personal import is_token
from events.streams import Streams
from events.types.collection import CollectionHeld, PlannedSegment
from events.types.segment import Cancelled, ErrorKind, Failed, Released, RetryScheduled, SubmissionStarted, WorkStep
from events.writer import AppendWriter
from service.amc.accounts import AccountState
from service.amc.client import AmcClient
from service.amc.connections import Connection, Connections
from service.amc.errors import AmcError
from service.amc.keys import NoSecretKey
from service.amc.models import ExecutionRequest
from service.amc.pace import Place
from service.backfill.broker.messages import StepMessage
from service.backfill.broker.port import DELAYS, Broker, PublishFailed
from service.backfill.orders import Order
from service.backfill.retries import RetryPolicy, retry_delay
from service.backfill.segment import Segment
from service.data_collections.state import Collection
from service.persons.texts import ErasedValues, PersonalTexts, hide
from service.results.store import ResultStore
from service.settings import Settings

log = structlog.get_logger()

# Beats in the time that a lease lasts: one may be lost, and half of the lease is still there.
BEATS = 4
MAX_ERROR = 2000
PUBLISH_PAUSE = 1.0


class LeaseLost(Exception):
    """The segment has been given to another worker, which goes on from what is recorded."""


class SentTooLate(Exception):
    """So much time has passed since the intent was recorded that others may take it for unsent: it was not sent."""


class Tools(msgspec.Struct, frozen=True):
    """What the steps of one worker process work with. `saved_workflows` are the instance and workflow ids
    that AMC is known to have."""

    pool: Pool
    streams: Streams
    writer: AppendWriter
    broker: Broker
    accounts: Connections
    store: ResultStore
    settings: Settings
    saved_workflows: set[tuple[str, str]]
    texts: PersonalTexts


class Turn:
    """One delivery's turn at a segment: what it knows, and the ways to go on."""

    def __init__(
        self,
        tools: Tools,
        message: StepMessage,
        segment: Segment,
        order: Order,
        standing: Collection,
        account: AccountState,
        lease_ends: float,
    ) -> None:
        self.tools = tools
        self.settings = tools.settings
        self.message = message
        self.segment = segment
        self.order = order
        self._standing = standing
        self._account = account
        self._lease_ends = lease_ends
        self._intended_at = -math.inf
        self._connection: Connection | None = None

    @property
    def segment_id(self) -> UUID:
        return UUID(self.message.segment_id)

    @property
    def collection_id(self) -> UUID:
        assert self.segment.collection_id is not None
        return self.segment.collection_id

    @property
    def planned(self) -> PlannedSegment:
        """The segment as its collection has planned it."""
        return next(each for each in self._standing.segments if each.segment_id == self.segment_id)

    @property
    def cancelled(self) -> bool:
        """Whether the collection was cancelled."""
        return self._standing.cancelled

    @property
    def connection(self) -> Connection:
        """The account that the segment's instance runs with, once `connect` has been awaited."""
        assert self._connection is not None
        return self._connection

    @property
    def amc(self) -> AmcClient:
        """AMC as that account."""
        return self.connection.client

    async def connect(self) -> None:
        """To be awaited before anything is asked of AMC. Raises AccountHeld and UnreadableAccount."""
        self._connection = await self.tools.accounts.as_it_stands(self._account)

    async def raise_if_held(self, error: AmcError) -> None:
        """To be awaited first where a call failed: raises AccountHeld where it was the account that Amazon
        refused, and not the call."""
        if error.code == "account_revoked":
            await self.tools.accounts.raise_if_revoked(self.connection)

    @contextlib.asynccontextmanager
    async def kept_lease(self) -> AsyncIterator[None]:
        """Keeps the lease for as long as the block runs, however long a download takes. Where it is lost the
        block is cancelled, and LeaseLost raised."""
        step = asyncio.current_task()
        assert step is not None
        lost = False

        async def beat() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(self.settings.lease_margin / BEATS)
                try:
                    await self._refresh_lease()
                except LeaseLost:
                    lost = True
                    step.cancel()
                    return
                except DATABASE_ERRORS as error:
                    end_if_cancelled(error)

        beating = asyncio.create_task(beat())
        try:
            yield
        except asyncio.CancelledError:
            if lost and step.uncancel() == 0:
                raise LeaseLost from None
            raise
        finally:
            beating.cancel()

    async def take_place(self) -> Place:
        """The turn of a create at AMC. Raises AmcError, with nothing sent, where that would take long."""
        await self.hold_lease()
        again = self.segment.attempt - self.segment.counted_from > 1
        return await self.amc.take_place(self.order.instance, again=again)

    def may_send(self) -> None:
        """To be called right before a create goes out. Raises SentTooLate where the intent is too old."""
        if asyncio.get_running_loop().time() - self._intended_at > self.send_within:
            raise SentTooLate

    @property
    def send_within(self) -> float:
        """Seconds after the intent in which a create may go out: others wait so long, and its time-out more."""
        return self.settings.amc_timeout

    async def hold_lease(self) -> None:
        """To be awaited before every call to AMC: sees to it that the lease outlasts the call, so that no
        second worker begins meanwhile. Raises LeaseLost where one has."""
        if self._lease_ends - asyncio.get_running_loop().time() < self.settings.amc_timeout:
            await self._refresh_lease()

    async def record(
        self, data: msgspec.Struct, *, claim: str | None = None, also: Mapping[str, msgspec.Struct] | None = None
    ) -> None:
        """Appends to the segment's stream at the version that was seen: a newer dispatch makes it a conflict.

        `also` are events of other streams that are recorded with it. `claim` is an AMC execution that is this
        segment's from now on. Raises Conflict, and KeyReused where another segment, or an earlier attempt, has
        claimed it.
        """
        writes = [Write(stream_of("segment", self.segment_id), self.segment.version, (event_of(self.segment, data),))]
        writes += [Write(stream, "any", (event_of(self.segment, event),)) for stream, event in (also or {}).items()]
        key = None
        if claim is not None:
            instance = self.order.instance.instance_id
            key = IdempotencyKey(
                f"amc-execution\n{instance}\n{claim}", self.segment_id.bytes + self.segment.attempt.to_bytes(4, "big")
            )
        asked = asyncio.get_running_loop().time()
        appended = await self.tools.writer.append(AppendRequest(tuple(writes), key))
        self.segment = msgspec.structs.replace(self.segment, version=appended.versions[0])
        if isinstance(data, SubmissionStarted):
            self._intended_at = asked

    async def go_on(self, step: WorkStep, delay: float = 0.0) -> None:
        """Sends the next order, to be handed out after `delay` seconds, with a lease that outlasts the wait.

        While the broker takes nothing, the delivery is kept until it does: giving it back would only wear it out.
        """
        delay = min(delay, DELAYS[-1])  # the broker keeps nothing longer, and the lease must not either
        following = msgspec.structs.replace(self.message, step=step, sequence=self.message.sequence + 1)
        while True:
            if delay > 0:
                await self._extend_lease(delay)
            try:
                await self.tools.broker.publish([following], delay=delay)
                return
            except PublishFailed as error:
                log.warning("worker_waits_for_broker", reason=error.reason)
            await asyncio.sleep(PUBLISH_PAUSE)

    async def fail(
        self,
        kind: ErrorKind,
        error: str,
        *,
        retry_after: float | None = None,
        max_retries: int | None = None,
        sql_rejected: bool = False,
        ours: bool = False,
    ) -> None:
        """Ends the attempt: another one later, or the segment's end. Only where no execution is left at AMC.

        `sql_rejected`: AMC takes the SQL or the parameters for wrong, which the other segments share. Where none of
        them has shown otherwise yet, the segment's end holds the collection. `ours`: the words are not Amazon's, which
        may repeat what it was sent.
        """
        if not ours:
            error = await self.without_values(error)
        error = error.replace("\0", "\ufffd")[:MAX_ERROR]  # Amazon's words, which the log must be able to keep
        attempt = self.segment.attempt
        if self.cancelled:
            await self.record(Cancelled(self.collection_id, attempt))
            return
        attempts = self._standing.max_attempts
        if max_retries is not None:
            attempts = min(attempts, max_retries + 1)
        policy = RetryPolicy(attempts, self.settings.retry_base, self.settings.retry_cap)
        counted = attempt - self.segment.counted_from
        delay = retry_delay(policy, kind, counted, random.random(), retry_after)  # noqa: S311 - spreads load
        if delay is None:
            holds = sql_rejected and await self._is_the_first()
            held = {stream_of("collection", self.collection_id): CollectionHeld("sql_rejected", self.segment_id, error)}
            await self.record(Failed(self.collection_id, attempt, kind, error), also=held if holds else None)
        else:
            retry_at = await self.database_time() + timedelta(seconds=delay)
            await self.record(RetryScheduled(self.collection_id, attempt, kind, error, retry_at))

    async def _is_the_first(self) -> bool:
        """Whether no execution of the collection has succeeded, so that the other segments wait for this one."""
        created, segments = self.order.collection, self._standing.segments
        run = [planned for planned in segments if planned.skip_reason is None]
        if created.sql_checked or any(planned.reuses for planned in segments) or len(run) == 1:
            return False
        streams = [stream_of("segment", planned.segment_id) for planned in run]
        return not await self.tools.pool.fetchval(
            "SELECT EXISTS (SELECT FROM report_builder_audit"
            " WHERE stream = ANY($1) AND event_type = 'segment.executed')",
            streams,
        )

    async def opened(self, request: ExecutionRequest) -> ExecutionRequest:
        """The request with its values as people gave them, for AMC alone. Raises ErasedValues, and NoSecretKey."""
        values = await self.tools.texts.open_values(request.parameter_values)
        return msgspec.structs.replace(request, parameter_values=values)

    async def without_values(self, error: str) -> str:
        """Amazon's words without the personal values that they repeat; none of them where the values are erased, as
        then nobody can say which of them these are."""
        sealed: ParameterValues = {
            name: value for name, value in self.order.collection.parameters.items() if is_token(value)
        }
        if not sealed:
            return error
        try:
            return hide(error, await self.tools.texts.open_values(sealed))
        except (ErasedValues, NoSecretKey):
            return "Amazon's words are not kept: they may repeat personal values"

    async def release(self) -> None:
        """Gives the segment back as it was before this attempt. Only where no execution can be at AMC."""
        await self.record(Released(self.collection_id, self.segment.attempt, "account_held"))

    async def database_time(self) -> datetime:
        """The time by which leases run and events are recorded."""
        return await self.tools.pool.fetchval("SELECT clock_timestamp()")  # type: ignore[no-any-return]

    async def _refresh_lease(self) -> None:
        asked = asyncio.get_running_loop().time()
        if not await self._extend_lease(0.0):
            raise LeaseLost
        self._lease_ends = asked + self.settings.lease_margin

    async def _extend_lease(self, delay: float) -> bool:
        changed = await self.tools.pool.execute(
            "UPDATE segment_leases"
            " SET lease_until = greatest(lease_until, clock_timestamp() + make_interval(secs => $3))"
            " WHERE segment_id = $1 AND fence = $2",
            self.segment_id,
            self.message.fence,
            delay + self.settings.lease_margin,
        )
        return changed == "UPDATE 1"


def event_of(segment: Segment, data: msgspec.Struct) -> NewEvent:
    """An event of the segment or its collection, on behalf of who set it to work."""
    return NewEvent(
        data=data,
        team_id=segment.team_id,
        user_id=segment.user_id,
        workflow_id=segment.workflow_id,
        metadata=Metadata(correlation_id=str(segment.collection_id)),
    )
