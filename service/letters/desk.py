"""What the broker and the log together know of dead letters, and what is done about one."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Literal
from uuid import UUID

import msgspec

from db.pool import Pool
from events.append import Write
from events.envelope import SYSTEM, Metadata, NewEvent, stream_of
from events.reader import read_stream
from events.types.letter import Letter, LetterDiscarded, LetterResent
from events.types.segment import Resumed
from service.auth.caller import Caller
from service.backfill.broker import (
    Broker,
    BrokerRefused,
    BrokerUnavailable,
    DeadLetter,
    DeadLetterNotFound,
    create_broker,
)
from service.backfill.segment import Segment, segment_of
from service.problems import Refused
from service.settings import Settings

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]

DeathReason = Literal["delivery_limit", "unreadable"]

MOST = 1000
"""Letters that are looked at for a list: those that have lain longest."""


def open_broker(running: Broker | None, settings: Settings) -> OpenBroker:
    """How this process reaches the broker: the one that it runs with, else a connection for as long as it is needed.

    Entering it raises BrokerUnavailable and BrokerRefused.
    """

    @asynccontextmanager
    async def entered() -> AsyncIterator[Broker]:
        if running is not None:
            yield running
            return
        if settings.amqp_url is None:
            raise BrokerUnavailable(
                "the broker is in the memory of the process that has the role worker; give that process the role api"
                " too, or all of them REPORT_BUILDER_AMQP_URL"
            )
        broker = create_broker(settings.amqp_url, prefix=settings.amqp_prefix)
        try:
            await broker.start()
            yield broker
        finally:
            await broker.close()

    return entered


class KnownLetter(msgspec.Struct, frozen=True):
    """A dead letter with the segment that it is for: None where it names none that the log knows."""

    letter: DeadLetter
    segment: Segment | None

    @property
    def reason(self) -> DeathReason:
        """Why it died; the broker alone does not tell a letter that nobody can read from one that was given up."""
        return "unreadable" if self.letter.message is None else "delivery_limit"


class LetterDesk:
    """The dead letters of the whole deployment, for its operators. Every method refuses with `broker_unavailable`
    where the broker does not answer."""

    def __init__(self, pool: Pool, broker: OpenBroker) -> None:
        self._pool = pool
        self._broker = broker

    async def letters(self) -> list[KnownLetter]:
        """Up to MOST of them, in the broker's order."""
        async with self._opened() as broker:
            letters = await broker.dead_letters(MOST)
        return [await self._known(letter) for letter in letters]

    async def letter(self, letter_id: str) -> KnownLetter:
        """One of them. Refuses with `not_found`."""
        async with self._opened() as broker:
            try:
                letter = await broker.dead_letter(letter_id)
            except DeadLetterNotFound:
                raise Refused(
                    "not_found", f"there is no dead letter {letter_id}: it was sent again or discarded before"
                ) from None
        return await self._known(letter)

    async def put_back(self, letter_id: str) -> None:
        """Back to its work queue; nothing where it is gone, as it was put back before."""
        async with self._opened() as broker:
            with suppress(DeadLetterNotFound):
                await broker.resend_dead_letter(letter_id)

    async def delete(self, letter_id: str) -> None:
        """Out of the broker; nothing where it is gone."""
        async with self._opened() as broker:
            with suppress(DeadLetterNotFound):
                await broker.discard_dead_letter(letter_id)

    async def _known(self, letter: DeadLetter) -> KnownLetter:
        segment = None
        if letter.message is not None:
            with suppress(ValueError):  # what calls itself a segment's id need not be one
                stream = stream_of("segment", UUID(letter.message.segment_id))
                segment = segment_of(await read_stream(self._pool, stream))
        return KnownLetter(letter, segment if segment and segment.version else None)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Broker]:
        try:
            async with self._broker() as broker:
                yield broker
        except (BrokerUnavailable, BrokerRefused) as error:
            raise Refused("broker_unavailable", str(error), retry_after=5) from None


def resent(known: KnownLetter, caller: Caller, reason: str | None) -> tuple[Write, ...]:
    """What is recorded before a letter is sent again. A segment that has stalled goes on: admission then sends a new
    order in the letter's place."""
    segment = known.segment
    resumes = segment is not None and segment.stalled
    writes = [_write(known, LetterResent(_described(known), resumes, reason), caller)]
    if segment is not None and segment.stalled:
        assert known.letter.message is not None
        assert segment.collection_id is not None
        assert segment.step is not None
        resumed = NewEvent(
            data=Resumed(segment.collection_id, segment.attempt, segment.step),
            team_id=segment.team_id,
            user_id=caller.user_id,
            workflow_id=segment.workflow_id,
            metadata=Metadata(correlation_id=str(segment.collection_id), causation_id=known.letter.id),
        )
        writes.append(Write(stream_of("segment", known.letter.message.segment_id), segment.version, (resumed,)))
    return tuple(writes)


def discarded(known: KnownLetter, caller: Caller, reason: str | None) -> tuple[Write, ...]:
    """What is recorded before a letter is deleted."""
    return (_write(known, LetterDiscarded(_described(known), reason), caller),)


def _described(known: KnownLetter) -> Letter:
    letter = known.letter
    return Letter(
        queue=letter.queue,
        reason=known.reason,
        died_at=letter.died_at,
        body_sha256=hashlib.sha256(letter.body).hexdigest(),
        body_bytes=len(letter.body),
        segment_id=UUID(letter.message.segment_id) if letter.message and known.segment else None,
    )


def _write(known: KnownLetter, data: msgspec.Struct, caller: Caller) -> Write:
    segment = known.segment
    event = NewEvent(
        data=data,
        team_id=segment.team_id if segment else SYSTEM,
        user_id=caller.user_id,
        workflow_id=segment.workflow_id if segment else None,
        metadata=Metadata(correlation_id=str(segment.collection_id) if segment else None),
    )
    # Any version: whoever tries again what was cut off in the middle records it again, which is the truth.
    return Write(stream_of("letter", known.letter.id), "any", (event,))
