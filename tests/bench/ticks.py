"""Ticks of admission, and the least that any statement would have to do in their place."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import NewEvent, new_id, stream_of
from events.types.segment import Completed
from tests.bench.measuring import WrongRows

LEASE = 3600.0

OURS = "admit_segments"

LEAST = "admit_least"
CREATE_LEAST = """
-- As many of the first pending segments as are wanted, whoever's they are: the lock, one count of what is taken, the
-- rows by their index, the appends, the leases. No limit is looked at, nobody has a turn, and nothing is settled.
CREATE FUNCTION admit_least(event_ids uuid[], lease_seconds double precision)
RETURNS TABLE (segment_id uuid, collection_id uuid) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  _wanted int := cardinality(event_ids);
  _picked record;
  _answer record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('admit_segments'));
  PERFORM count(*) FROM segment_leases l WHERE l.holds_slot;
  SELECT array_agg(w.segment_id) AS segments, array_agg(w.collection_id) AS collections,
         array_agg('segment-' || w.segment_id) AS streams, array_agg(w.stream_version) AS versions,
         array_agg(row_number) AS numbers, array_agg(NULL::text) AS nothing, array_agg(1) AS ones,
         array_agg('team'::text) AS teams, array_agg(NULL::uuid) AS users,
         array_agg('segment.dispatched'::text) AS types,
         array_agg(json_build_object('collection_id', w.collection_id, 'attempt', 1, 'step', 'submit',
                                     'reason', 'admitted')::text) AS bodies,
         array_agg(json_build_object('correlation_id', w.collection_id)::text) AS metadata
    INTO _picked
    FROM (SELECT w.*, (row_number() OVER ())::int AS row_number
            FROM (SELECT * FROM report_data_weeks w
                   WHERE w.status IN ('pending', 'waiting') AND w.stalled IS NULL
                     AND NOT EXISTS (SELECT FROM segment_leases l WHERE l.segment_id = w.segment_id)
                   ORDER BY w.collection_id, w.front_at, w.week_start LIMIT _wanted) w) w;
  SELECT * INTO _answer FROM append_events(
    _picked.nothing, _picked.nothing::bytea[], _picked.nothing::int[], _picked.nothing, _picked.numbers,
    _picked.streams, _picked.versions, _picked.numbers, event_ids, _picked.types, _picked.ones, _picked.teams,
    _picked.users, _picked.nothing, _picked.nothing, _picked.bodies, _picked.metadata);
  RETURN QUERY
  INSERT INTO segment_leases
  SELECT s.segment_id, s.collection_id, 'team', NULL, 'w1', 'amc', 'bulk', 1, 'submit', 0, true,
         clock_timestamp() + make_interval(secs => lease_seconds)
    FROM unnest(_picked.segments, _picked.collections) AS s(segment_id, collection_id)
  RETURNING segment_id, collection_id;
END
$$;
GRANT EXECUTE ON FUNCTION admit_least TO PUBLIC;
"""

Prepare = Callable[["asyncpg.Connection[Any]"], Awaitable[object]]


class Lease(msgspec.Struct, frozen=True):
    """What a segment's end needs to be recorded."""

    segment_id: UUID
    collection_id: UUID


async def leases(connection: asyncpg.Connection[Any], most: int) -> list[Lease]:
    """So many of those that hold slots, no two next to each other."""
    rows = await connection.fetch(
        "SELECT segment_id, collection_id FROM segment_leases WHERE holds_slot ORDER BY md5(segment_id::text) LIMIT $1",
        most,
    )
    return [Lease(*row) for row in rows]


async def complete(connection: asyncpg.Connection[Any], ended: list[Lease]) -> None:
    """Records that these have ended, as workers do: nobody gives a lease back."""
    requests = []
    for lease in ended:
        event = NewEvent(data=Completed(lease.collection_id, "e", 1, 1, "c"), team_id="team", workflow_id="w1")
        requests.append(
            EncodedRequest(AppendRequest((Write(stream_of("segment", lease.segment_id), "any", (event,)),)))
        )
    if requests:
        await append_batch(connection, requests)


async def tick(connection: asyncpg.Connection[Any], function: str, most: int) -> tuple[list[Any], float]:
    """What one call admits, and the milliseconds from asking to having all rows."""
    ids = [new_id() for _ in range(most)]
    begun = time.perf_counter()
    rows = await connection.fetch(f"SELECT * FROM {function}($1, $2)", ids, LEASE)
    return rows, (time.perf_counter() - begun) * 1000


def processor_milliseconds(backend: int) -> float:
    """What this process of PostgreSQL has used so far: what others do on the machine does not lengthen it."""
    return int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e6


async def tick_taken_back(
    connection: asyncpg.Connection[Any], prepare: Prepare, function: str, most: int, admitted: int
) -> float:
    """Milliseconds of a tick in a situation that is prepared in the same transaction, and taken back with it: without
    the commit's wait for the disk, which any statement would have. Raises WrongRows unless it admits so many."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await prepare(connection)
        rows, milliseconds = await tick(connection, function, most)
    finally:
        await transaction.rollback()
    if len({row["segment_id"] for row in rows}) != admitted or len(rows) != admitted:
        raise WrongRows(f"{function} has admitted {len(rows)} segments where {admitted} slots were to be given")
    return milliseconds
