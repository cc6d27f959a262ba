"""The tree in the database: its tiles grow from the log, and proofs are made from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import asyncpg

from db.pool import Connection, Pool
from events.epochs import Epochs, read_epochs
from events.reader import LogDamaged, read_head
from events.tree.leaf import VERSION, Leaf, encode_leaf, moment
from events.tree.merkle import HASH_BYTES, Range, leaf_hash
from events.tree.tiles import WIDTH, Edge, Tile, partial_tiles, root_of, tiles_of

# The bodies stay where they are: what a leaf has of them is their hash, and the server computes that as well.
LEAVES = """
SELECT position, id, stream, stream_version, event_type, schema_version, team_id, user_id, workflow_id, step_completed,
       recorded_at,
       encode(sha256(convert_to(configuration::text, 'UTF8')), 'hex') AS configuration_sha256,
       encode(sha256(convert_to(metadata::text, 'UTF8')), 'hex') AS metadata_sha256
  FROM report_builder_audit WHERE position > $1 ORDER BY position LIMIT $2
"""
TILES = """
SELECT t.level, t.index, t.hashes
  FROM unnest($1::smallint[], $2::bigint[]) AS wanted(level, index) JOIN tree_tiles t USING (level, index)
"""
SAVE = """
INSERT INTO tree_tiles (level, index, hashes) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes
"""
SIZE = "SELECT index, octet_length(hashes) AS bytes FROM tree_tiles WHERE level = 0 ORDER BY index DESC LIMIT 1"


class TreeDiffers(Exception):
    """The log, the tree and what was signed of it contradict each other; the message says where, and what to do."""


async def take_lock(connection: Connection) -> bool:
    """Whether this transaction is the one that may work on the tree, until it ends; of all processes one may."""
    return await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('report_builder_tree'))")  # type: ignore[no-any-return]


async def wait_for_lock(connection: Connection) -> None:
    """The same for who has nothing else to do: this transaction is the one when it returns."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('report_builder_tree'))")


async def read_leaves(connection: Connection, after: int, limit: int) -> list[bytes]:
    """The leaves of at most `limit` events after the position. Raises LogDamaged at a gap."""
    rows = await connection.fetch(LEAVES, after, limit)
    # After the events: an epoch that begins among them is known then.
    epochs = await read_epochs(connection)
    leaves = []
    for position, row in enumerate(rows, after + 1):
        if row["position"] != position:
            raise LogDamaged(f"position {position} is missing from the log; the next one is {row['position']}")
        leaves.append(_leaf(row, epochs))
    return leaves


def _leaf(row: asyncpg.Record, epochs: Epochs) -> bytes:
    position, *between, recorded_at, configuration, metadata = row
    return encode_leaf(
        Leaf(VERSION, epochs.at(position), position, *between, moment(recorded_at), configuration, metadata)  # type: ignore[call-arg]
    )


async def tree_size(connection: Connection | Pool) -> int:
    """How many leaves the tiles have."""
    row = await connection.fetchrow(SIZE)
    return 0 if row is None else row["index"] * WIDTH + row["bytes"] // HASH_BYTES


async def read_tiles(connection: Connection | Pool, tiles: Collection[Tile]) -> dict[Tile, bytes]:
    """Those of the tiles that there are, each as wide as it is kept."""
    rows = await connection.fetch(TILES, [level for level, _ in tiles], [index for _, index in tiles])
    return {(row["level"], row["index"]): row["hashes"] for row in rows}


async def roots_of(connection: Connection | Pool, ranges: Iterable[Range]) -> list[bytes]:
    """The roots over these ranges. Raises TilesIncomplete."""
    ranges = list(ranges)
    tiles = await read_tiles(connection, tiles_of(ranges))
    return [root_of(each, tiles) for each in ranges]


async def load_edge(connection: Connection | Pool) -> Edge:
    """The tree as it stands, ready to grow. Raises TilesIncomplete."""
    size = await tree_size(connection)
    return Edge(size, await read_tiles(connection, partial_tiles(size)))


async def grow(connection: Connection, edge: Edge, limit: int) -> int:
    """Takes at most `limit` more events of the log into the tree, in the caller's transaction; answers how many.

    Raises TreeDiffers where the log does not go on from the event that is the tree's last.
    """
    before = max(edge.size - 1, 0)
    leaves = await read_leaves(connection, before, limit + edge.size - before)
    if edge.size:
        if not leaves:
            head = await read_head(connection)
            raise TreeDiffers(f"the log ends at position {head}, and the tree has {edge.size} leaves")
        if leaf_hash(leaves.pop(0)) != await _leaf_hash_at(connection, before):
            raise TreeDiffers(f"the event at position {edge.size} is not the one that the tree has there")
    changed = edge.add(leaf_hash(leaf) for leaf in leaves)
    await _save(connection, changed)
    return len(leaves)


async def forget_tiles(connection: Connection) -> None:
    """Deletes the tree; it grows again from position 1."""
    await connection.execute("DELETE FROM tree_tiles")


async def _leaf_hash_at(connection: Connection, index: int) -> bytes:
    (root,) = await roots_of(connection, [(index, index + 1)])
    return root


async def _save(connection: Connection, tiles: Mapping[Tile, bytes]) -> None:
    if tiles:
        levels, indexes = zip(*tiles, strict=True)
        await connection.execute(SAVE, levels, indexes, list(tiles.values()))
