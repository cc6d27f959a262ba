"""The transparency log for tests: events in bulk, a signer of its own, and what whoever owns the tables can do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import msgspec

from db.pool import Connection, Pool
from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import SYSTEM, NewEvent
from events.tree.merkle import leaf_hash
from events.tree.store import read_leaves
from events.tree.tiles import Edge
from service.tree.signer import TreeSigner
from tests.postgres import Database
from tests.recording import append, note, request

FILL = """
INSERT INTO report_builder_audit
SELECT n, md5('event ' || n)::uuid, 'log-fill-' || n % 100, (n - 1) / 100 + 1, 'log.projection_rebuilt', 1, 'team-1',
       NULL, NULL, NULL,
       json_build_object('projection', 'überall ' || n, 'position', n, 'rows_removed', 0, 'rows_added', 0,
                         'rows_changed', 0),
       '{}', '2026-03-02 14:05:00+00'::timestamptz + n * interval '1 ms'
  FROM generate_series($1::bigint, $2::bigint) AS n
"""


async def fill(database: Database, first: int, last: int) -> None:
    """Events at these positions, by the table's owner, in one statement."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(FILL, first, last)
    finally:
        await connection.close()


async def rewind(database: Database, position: int) -> None:
    """The log, and the tables beside it, as they were at the position: what a restore leaves."""
    await forge(
        database,
        "DELETE FROM report_builder_audit WHERE position > $1",
        position,
    )
    await forge(database, "DELETE FROM tree_cosignatures WHERE size > $1", position)
    await forge(database, "DELETE FROM tree_heads WHERE size > $1", position)
    await forge(database, "DELETE FROM tree_tiles")


async def forge(database: Database, sql: str, *values: object) -> None:
    """A statement as the table's owner, with triggers off."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql, *values)
    finally:
        await connection.close()


async def plant(pool: Pool, stream: str, *said: msgspec.Struct) -> None:
    """Events of the log's own streams by somebody who has no more than the service's login."""
    events = tuple(NewEvent(data=each, team_id=SYSTEM) for each in said)
    async with pool.acquire() as connection:
        version = await connection.fetchval("SELECT count(*) FROM report_builder_audit WHERE stream = $1", stream)
        write = Write(stream, version or "none", events)
        (verdict,) = await append_batch(connection, [EncodedRequest(AppendRequest((write,)))])
    assert not isinstance(verdict, Exception)


async def append_notes(pool: Pool, count: int) -> None:
    """That many events, by the service's own way."""
    async with pool.acquire() as connection:
        await append(connection, *(request("log-notes", note(f"note {number}")) for number in range(count)))


def signer_of(pool: Pool, folder: Path, name: str | None = "log.example") -> TreeSigner:
    """A signer that works when it is told to."""
    return TreeSigner(pool, folder, name=name, interval=0.01)


async def sign_all(signer: TreeSigner) -> None:
    """Rounds until nothing waits."""
    while await signer.round():
        pass


async def sign_until(pool: Pool, size: int) -> None:
    """Waits until a running service has signed a head of at least so many events."""
    async with asyncio.timeout(60):
        while not await pool.fetchval("SELECT EXISTS (SELECT FROM tree_heads WHERE size >= $1)", size):
            await asyncio.sleep(0.05)


async def root_of_log(connection: Connection, size: int) -> bytes:
    """The root over the first events, from the log alone."""
    edge = Edge()
    while edge.size < size:
        edge.add(leaf_hash(leaf) for leaf in await read_leaves(connection, edge.size, min(5000, size - edge.size)))
    return edge.root()
