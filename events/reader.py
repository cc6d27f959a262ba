"""Reading the log: by position, or one stream."""

from __future__ import annotations

import asyncpg

from db.pool import Connection, Pool
from events.envelope import RecordedEvent

COLUMNS = (
    "position, id, stream, stream_version, event_type, schema_version, team_id, user_id, workflow_id,"
    " step_completed, configuration, metadata, recorded_at"
)


class LogDamaged(Exception):
    """A position is missing: positions are dense, so an event was removed. Nothing may go on from here."""


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
    for expected, row in enumerate(rows, position + 1):
        if row["position"] != expected:
            raise LogDamaged(f"position {expected} is missing from the log; the next one is {row['position']}")
    return [_event(row) for row in rows]


async def read_stream(connection: Connection | Pool, stream: str, *, after: int = 0) -> list[RecordedEvent]:
    """The events of one stream later than its version `after`, by version; an empty list where there is none."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM report_builder_audit"  # noqa: S608
        " WHERE stream = $1 AND stream_version > $2 ORDER BY stream_version",
        stream,
        after,
    )
    return [_event(row) for row in rows]


async def read_head(connection: Connection | Pool) -> int:
    """The last position; 0 for an empty log."""
    return await connection.fetchval("SELECT coalesce(max(position), 0) FROM report_builder_audit")  # type: ignore[no-any-return]


def _event(row: asyncpg.Record) -> RecordedEvent:
    return RecordedEvent(**row)
