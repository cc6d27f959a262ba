"""Rebuild: the read models once more from position 1, beside the live ones, then made equal in one transaction.

Readers see the live tables, whole, until the moment of the change, and after it; views, indexes and foreign keys stay
as they are. Whoever is killed before leaves what is built, and the next one goes on from there.
See docs/decisions/0003-rebuild-by-difference.md.
"""

from __future__ import annotations

import asyncio

import msgspec

from db.pool import Connection
from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import SYSTEM, NewEvent, stream_of
from events.reader import read_head
from events.types.log import ProjectionRebuilt
from projections.difference import (
    LIVE,
    Difference,
    DifferingRow,
    count_differences,
    digest,
    first_difference,
    make_equal,
)
from projections.runner import NAME, TABLES
from projections.scratch import SCHEMA, Progress, Scratch, begin, open_scratch

STREAM = stream_of("log", "projections")


class Rebuilt(msgspec.Struct, frozen=True):
    """The position that the live tables now stand at, how they had differed (where no projector is at work also by what
    it has not applied yet), and their digest. `resumed_from` is the position that an earlier rebuild had come to; 0
    where all was built by this one."""

    position: int
    difference: Difference
    digest: str
    resumed_from: int


class Verified(msgspec.Struct, frozen=True):
    """What the live tables were at the position: `differences` by table, none where they are what the events give, and
    `first`, the first row of these in the order of tables and keys. `digest` is that of the live tables."""

    position: int
    digest: str
    differences: dict[str, Difference]
    first: DifferingRow | None


AWAKE = 5.0
"""Seconds after which a transaction that waits for another connection says something: the server ends idle ones."""

STANDS_STILL = 2.0
"""Seconds in which a projector that is at work comes on."""


class RebuildFailed(Exception):
    """The tables are not equal after they were made equal; nothing was changed."""


def no_progress(done: int, total: int) -> None:
    """Tells nobody."""


async def rebuild(url: str, *, reason: str | None = None, progress: Progress = no_progress) -> Rebuilt:
    """Builds the read models from the whole log and replaces what differs. Records `log.projection_rebuilt`.

    Raises RebuildRunning; CannotApply or LogDamaged where the projection would stop, too.
    """
    async with open_scratch(url) as scratch:
        begun = scratch.position
        await scratch.build(read_head, progress)
        await _let_projector_come(scratch.reader, scratch.position)
        connection = scratch.connection
        async with connection.transaction():
            # The projector waits at the lock; what it has applied since is applied here too.
            await scratch.catch_up(await _live_position(connection, lock=True))
            # While the lock is held no other connection sees the live tables otherwise than this one.
            wanted, found = await _digests(connection, scratch.reader)
            difference = Difference()
            if found != wanted:
                difference = await make_equal(connection)
                if await digest(connection, LIVE) != wanted:
                    raise RebuildFailed(
                        "the read models still differ from the log after their differences were written: a"
                        " trigger has changed a row, or a value is not equal to its copy"
                    )
            await connection.execute(
                "UPDATE projection_checkpoints SET position = $2, updated_at = clock_timestamp(),"
                " stopped_at = NULL, stopped_by = NULL, stopped_since = NULL WHERE projection = $1",
                NAME,
                scratch.position,
            )
            await scratch.drop()
            by: str = await connection.fetchval("SELECT session_user::text")
            # Last: it makes all other appends wait until the transaction ends.
            await append_batch(connection, [_rebuilt_event(scratch.position, difference, wanted, by, reason)])
    return Rebuilt(scratch.position, difference, wanted, begun)


async def verify(url: str, *, progress: Progress = no_progress) -> Verified:
    """Builds the read models beside the live ones and compares, at one position, without anybody waiting for it.
    Raises what `rebuild` does."""
    async with open_scratch(url) as scratch:
        connection = scratch.connection
        if scratch.position > await _live_position(connection):
            # A rebuild was killed that had come further than the projector.
            await scratch.drop()
            scratch = Scratch(connection, scratch.reader, await begin(connection))
        await scratch.build(_live_position, progress)
        # In one snapshot the live tables stand at their checkpoint, though the projector goes on.
        async with connection.transaction(isolation="repeatable_read"):
            await scratch.catch_up(await _live_position(connection))
            found = await digest(connection, LIVE)
            differences = {} if found == await digest(connection, SCHEMA) else await count_differences(connection)
            first = None
            for table in TABLES:
                if table.name in differences:
                    first = await first_difference(connection, table)
                    break
        await scratch.drop()
    return Verified(scratch.position, found, differences, first)


async def _let_projector_come(reader: Connection, target: int) -> None:
    """Waits for the projector to apply what is built: what it merely has not come to is no difference. Not where it
    stands still, or has not begun."""
    clock = asyncio.get_running_loop().time
    position, since = await _live_position(reader), clock()
    while 0 < position < target and clock() - since < STANDS_STILL:
        await asyncio.sleep(0.02)
        if (now := await _live_position(reader)) != position:
            position, since = now, clock()


async def _digests(connection: Connection, reader: Connection) -> tuple[str, str]:
    """Of the built tables, by the connection that is in a transaction, and of the live ones meanwhile."""
    of_live = asyncio.create_task(digest(reader, LIVE))
    try:
        of_built = await digest(connection, SCHEMA)
        while not (await asyncio.wait([of_live], timeout=AWAKE))[0]:
            await connection.execute("SELECT")
        return of_built, of_live.result()
    finally:
        of_live.cancel()


async def _live_position(connection: Connection, *, lock: bool = False) -> int:
    position: int = await connection.fetchval(
        f"SELECT position FROM projection_checkpoints WHERE projection = $1 {'FOR UPDATE' if lock else ''}",  # noqa: S608
        NAME,
    )
    return position


def _rebuilt_event(position: int, difference: Difference, wanted: str, by: str, reason: str | None) -> EncodedRequest:
    data = ProjectionRebuilt(
        NAME, position, difference.removed, difference.added, difference.changed, digest=wanted, by=by, reason=reason
    )
    event = NewEvent(data=data, team_id=SYSTEM)
    return EncodedRequest(AppendRequest((Write(STREAM, "any", (event,)),)))
