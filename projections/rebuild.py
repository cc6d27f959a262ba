"""Rebuild: the read models once more from position 1, beside the live ones, then made equal in one transaction.

The new rows are built in temporary tables of the same names. Readers see the live tables, whole, until the
moment of the change, and after it; views, indexes and foreign keys stay as they are. A crash leaves nothing.
See docs/decisions/0003-rebuild-by-difference.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec

from db.pool import Connection
from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import NewEvent, stream_of
from events.reader import read_after
from events.types.log import ProjectionRebuilt
from projections.rows import Table, columns
from projections.runner import NAME, TABLES, apply_events

BATCH = 2000


class Difference(msgspec.Struct, frozen=True):
    """How the live rows differ from those that the events give."""

    removed: int = 0
    added: int = 0
    changed: int = 0


async def rebuild(
    url: str, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[int, Difference]:
    """Builds the read models from the whole log and replaces what differs; answers the position and the
    difference. Records `log.projection_rebuilt`.

    Takes an address, not a pool: on a connection of its own no statement is cached that means a live table.
    """
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        await _create_scratch(connection)
        position = await _build(connection, progress)
        async with connection.transaction():
            live: int = await connection.fetchval(
                "SELECT position FROM projection_checkpoints WHERE projection = $1 FOR UPDATE", NAME
            )
            # The projector waits at the lock; what it has applied since is applied here too.
            while position < live:
                position = await _apply_next(connection, position, live - position)
            difference = await _make_equal(connection)
            await connection.execute(
                "UPDATE projection_checkpoints SET position = $2, updated_at = clock_timestamp() WHERE projection = $1",
                NAME,
                position,
            )
            await append_batch(connection, [_rebuilt_event(position, difference)])
    finally:
        await connection.close()
    return position, difference


async def _create_scratch(connection: Connection) -> None:
    for table in TABLES:
        await connection.execute(f"CREATE TEMPORARY TABLE {table.name} (LIKE public.{table.name} INCLUDING ALL)")


async def _build(connection: Connection, progress: Callable[[int, int], None]) -> int:
    position = 0
    while True:
        head: int = await connection.fetchval("SELECT coalesce(max(position), 0) FROM report_builder_audit")
        progress(position, head)
        if position >= head:
            return position
        async with connection.transaction():
            position = await _apply_next(connection, position, BATCH)


async def _apply_next(connection: Connection, position: int, limit: int) -> int:
    events = await read_after(connection, position, min(limit, BATCH))
    await apply_events(connection, events)
    return events[-1].position if events else position


async def _make_equal(connection: Connection) -> Difference:
    """Children lose rows before their parents, parents gain rows before their children."""
    removed = added = changed = 0
    for table in reversed(TABLES):
        status = await connection.execute(
            f"DELETE FROM public.{table.name} live WHERE NOT EXISTS"  # noqa: S608
            f" (SELECT FROM pg_temp.{table.name} built WHERE built.{table.key} = live.{table.key})"
        )
        removed += _count(status)
    for table in TABLES:
        row = await connection.fetchrow(_upsert(table))
        assert row is not None
        added += row["added"]
        changed += row["changed"]
    return Difference(removed, added, changed)


def _upsert(table: Table[Any]) -> str:
    names = columns(table)
    listed = ", ".join(names)
    return f"""
        WITH differing AS (
          SELECT built.*, live.{table.key} IS NULL AS missing
            FROM pg_temp.{table.name} built LEFT JOIN public.{table.name} live USING ({table.key})
           WHERE live.{table.key} IS NULL
              OR ({", ".join(f"built.{name}" for name in names)})
                 IS DISTINCT FROM ({", ".join(f"live.{name}" for name in names)})
        ), written AS (
          INSERT INTO public.{table.name} ({listed}) SELECT {listed} FROM differing
          ON CONFLICT ({table.key}) DO UPDATE
            SET {", ".join(f"{name} = excluded.{name}" for name in names if name != table.key)}
        )
        SELECT count(*) FILTER (WHERE missing) AS added, count(*) FILTER (WHERE NOT missing) AS changed
          FROM differing
    """  # noqa: S608


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])


def _rebuilt_event(position: int, difference: Difference) -> EncodedRequest:
    data = ProjectionRebuilt(NAME, position, difference.removed, difference.added, difference.changed)
    event = NewEvent(data=data, team_id="system")
    return EncodedRequest(AppendRequest((Write(stream_of("log", "projections"), "any", (event,)),)))
