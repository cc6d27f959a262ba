"""Reading the log: by position, or one stream."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime

import asyncpg
import msgspec

from db.pool import Connection, Pool
from events.envelope import RecordedEvent

COLUMNS = (
    "position, id, stream, stream_version, event_type, schema_version, team_id, user_id, workflow_id,"
    " step_completed, configuration, metadata, recorded_at"
)
"""In the order of the fields of RecordedEvent."""

LAST_VERSION = 2**31 - 1
LAST_POSITION = 2**63 - 1

PACK = 300
"""So many events at a time for who reads all of the log: with less the round trips count; answers of more than half a
megabyte cost both sides twice the time, as each one's memory is asked of the system anew."""


# Stream by stream, each by the index of its versions, whatever the planner thinks of their number.
OF_STREAMS = f"""
SELECT {COLUMNS}
  FROM unnest($1::text[]) AS wanted(name)
 CROSS JOIN LATERAL (SELECT * FROM report_builder_audit a WHERE a.stream = wanted.name AND a.position <= $2
                      ORDER BY a.stream_version LIMIT {LAST_VERSION}) AS of_stream
 ORDER BY position
"""  # noqa: S608

# Times as JSON, which is decoded in a fifth of the time that their binary form takes here.
_PACKED = f"""
SELECT {", ".join(f"array_agg({column})" for column in COLUMNS.split(", ")[:-1])}, json_agg(recorded_at)
  FROM (SELECT * FROM report_builder_audit WHERE position > $1 ORDER BY position LIMIT $2) a
"""  # noqa: S608

_TIMES: msgspec.json.Decoder[list[datetime]] = msgspec.json.Decoder(list[datetime])


class LogDamaged(Exception):
    """A position is missing: positions are dense, so an event was removed. Nothing may go on from here."""


class LogRewound(Exception):
    """The log was restored to an earlier state while it was followed. Whoever follows it must begin again."""


NEXT = f"SELECT {COLUMNS} FROM report_builder_audit WHERE position > $1 ORDER BY position LIMIT $2"  # noqa: S608
NEXT_OF_BYTES = f"""
SELECT {COLUMNS}
  FROM (SELECT n.*, sum(octet_length(n.configuration::text)) OVER (ORDER BY n.position
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
          FROM ({NEXT}) n) counted
 WHERE coalesce(bytes_before, 0) < $3
 ORDER BY position
"""  # noqa: S608


async def read_after(
    connection: Connection | Pool, position: int, limit: int, *, most_bytes: int | None = None
) -> list[RecordedEvent]:
    """At most `limit` events after `position`, in order; with `most_bytes` none after so many bytes of bodies, but at
    least one. Raises LogDamaged at a gap."""
    if most_bytes is None:
        rows = await connection.fetch(NEXT, position, limit)
    else:
        rows = await connection.fetch(NEXT_OF_BYTES, position, limit, most_bytes)
    _refuse_gaps(position, [row[0] for row in rows])
    return [_event(row) for row in rows]


async def read_span(connection: Connection | Pool, after: int, until: int) -> list[RecordedEvent]:
    """The first few hundred events after `after`, none beyond `until`: what `read_after` answers, for who reads all of
    the log, in a third of the time, as the database packs them. Raises LogDamaged at a gap."""
    if (limit := min(PACK, until - after)) <= 0:
        return []
    try:
        packed = await connection.fetchrow(_PACKED, after, limit)
    except asyncpg.ProgramLimitExceededError:  # more than a gigabyte of bodies
        return await read_after(connection, after, limit)
    if packed is None or packed[0] is None:
        return []
    *columns, times = packed
    _refuse_gaps(after, columns[0])
    # They come in the session's time zone.
    recorded_at = [at.astimezone(UTC) for at in _TIMES.decode(times)]
    return list(map(RecordedEvent, *columns, recorded_at))


async def read_log(connection: Connection, after: int, until: int) -> AsyncIterator[list[RecordedEvent]]:
    """All events after `after` up to `until`, or to the log's end, pack by pack; the database makes the next one while
    the caller has this one. Raises LogDamaged at a gap.

    The connection is not to be used for anything else until then.
    """
    ahead = asyncio.create_task(read_span(connection, after, until))
    try:
        while events := await ahead:
            ahead = asyncio.create_task(read_span(connection, events[-1].position, until))
            await asyncio.sleep(0)  # so that it is asked for now
            yield events
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """For a process that does nothing but read the log: events refer to nothing that refers to them, and there are
    many: looking through all of them again and again finds nothing, and takes as long as reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


async def read_stream(
    connection: Connection | Pool, stream: str, *, after: int = 0, until: int = LAST_VERSION
) -> list[RecordedEvent]:
    """The events of one stream later than its version `after`, up to `until`, by version; an empty list where there is
    none."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM report_builder_audit"  # noqa: S608
        " WHERE stream = $1 AND stream_version > $2 AND stream_version <= $3 ORDER BY stream_version",
        stream,
        after,
        until,
    )
    return [_event(row) for row in rows]


async def read_each(connection: Connection | Pool, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
    """The events of each of these streams, by version, in one round trip; an empty list for one that is not there."""
    if len(streams) == 1:
        return {streams[0]: await read_stream(connection, streams[0])}
    found: dict[str, list[RecordedEvent]] = {stream: [] for stream in streams}
    for row in await connection.fetch(OF_STREAMS, streams, LAST_POSITION):
        found[row["stream"]].append(_event(row))
    return found


async def read_streams(connection: Connection, streams: Sequence[str], position: int) -> AsyncIterator[RecordedEvent]:
    """The events of these streams up to the position, in the order of the log, however many there are. To be read to
    the end, in a transaction that the caller has opened."""
    async for row in connection.cursor(OF_STREAMS, streams, position, prefetch=1000):
        yield _event(row)


async def read_last(connection: Connection | Pool, stream: str) -> RecordedEvent | None:
    """The newest event of the stream; None where there is none."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM report_builder_audit WHERE stream = $1 ORDER BY stream_version DESC LIMIT 1",  # noqa: S608
        stream,
    )
    return None if row is None else _event(row)


async def read_head(connection: Connection | Pool) -> int:
    """The last position; 0 for an empty log."""
    return await connection.fetchval("SELECT coalesce(max(position), 0) FROM report_builder_audit")  # type: ignore[no-any-return]


def _refuse_gaps(before: int, positions: Sequence[int]) -> None:
    for expected, position in enumerate(positions, before + 1):
        if position != expected:
            raise LogDamaged(f"position {expected} is missing from the log; the next one is {position}")


def _event(row: asyncpg.Record) -> RecordedEvent:
    return RecordedEvent(*row)
