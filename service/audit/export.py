"""The log, or a part of it, as a file that proves itself: what there is at one tree head, as it is stored.

It judges nothing. What is missing or was altered goes out as it is, and the verifier says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from importlib.resources import files

import asyncpg
import msgspec

from db.pool import Connection, Pool
from events.envelope import RecordedEvent
from events.epochs import Epochs, read_epochs
from events.reader import COLUMNS
from events.tree.leaf import leaf_of
from events.tree.merkle import HASH_BYTES
from events.tree.store import read_tiles
from events.tree.tiles import HEIGHT, MAX_LEVEL, WIDTH, Tile, width_of
from service.audit.bundle import WITHHELD, BundleWriter
from service.tree.heads import read_newest_size

# What is in memory at once: as many events as fit in so many bytes of bodies, and never more than these.
PAGE_EVENTS = 1000
PAGE_BYTES = 4 * 1024 * 1024
PAGE_HEADS = 1000
PAGE_TILES = 64

EVENTS = f"""
SELECT {COLUMNS} FROM (
  SELECT *, sum(octet_length(configuration::text) + octet_length(metadata::text)) OVER (ORDER BY position) AS bytes,
         row_number() OVER (ORDER BY position) AS number
    FROM (SELECT {COLUMNS} FROM report_builder_audit WHERE position > $1 AND position <= $2
           ORDER BY position LIMIT {PAGE_EVENTS}) next) page
 WHERE number = 1 OR bytes <= {PAGE_BYTES}
 ORDER BY position
"""  # noqa: S608
HEADS = f"""
SELECT h.size, h.epoch, h.note, ARRAY(SELECT c.line FROM tree_cosignatures c
                                       WHERE c.epoch = h.epoch AND c.size = h.size ORDER BY c.key) AS lines
  FROM tree_heads h
 WHERE (h.size, h.epoch) > ($1, $2) AND h.size <= $3
 ORDER BY h.size, h.epoch LIMIT {PAGE_HEADS}
"""  # noqa: S608
KEYS = "SELECT key FROM tree_keys ORDER BY first_used, key"


class NoTreeHead(Exception):
    """The log has no tree head yet, or none that reaches so far; the message says how far."""


class Part(msgspec.Struct, frozen=True):
    """What is exported, at the tree head of `size` events: those at `first` to `last`, and their bodies, of all teams
    (null) or of one."""

    size: int
    first: int
    last: int
    team: str | None

    @property
    def file_name(self) -> str:
        whole = (self.first, self.last) == (1, self.size)
        team = "" if self.team is None else "-team"
        return f"audit-{self.size}{'' if whole else f'-{self.first}-to-{self.last}'}{team}.zip"


async def choose_part(pool: Connection | Pool, first: int | None, last: int | None, team: str | None) -> Part:
    """The part at the newest tree head; None is the log's beginning, and that tree head. Raises NoTreeHead."""
    size = await read_newest_size(pool)
    if size is None:
        raise NoTreeHead("the log has no tree head yet")
    part = Part(size, 1 if first is None else first, size if last is None else last, team)
    if part.last > size or part.first > size:
        raise NoTreeHead(f"the newest tree head is of {size} events")
    return part


async def export(pool: Connection | Pool, part: Part, schemas: Mapping[tuple[str, str], bytes]) -> AsyncIterator[bytes]:
    """The bundle's bytes, piece by piece; `schemas` are those of events by type and version."""
    pieces = _Pieces()
    writer = BundleWriter(pieces)
    epochs = await read_epochs(pool)
    types: set[tuple[str, str]] = set()
    async for rows in _events(pool, part):
        # In a thread: hashing and packing hold nobody else up.
        await asyncio.to_thread(_add_events, writer, rows, epochs, part.team)
        types.update((row["event_type"], str(row["schema_version"])) for row in rows)
        yield pieces.take()
    async for notes in _heads(pool, part):
        writer.add_heads(notes)
        yield pieces.take()
    tiles = tiles_of_part(part)
    for at in range(0, len(tiles), PAGE_TILES):
        wanted = tiles[at : at + PAGE_TILES]
        found = await read_tiles(pool, wanted)
        for tile in wanted:
            if tile in found:
                width = width_of(tile, part.size)
                writer.add_tile(*tile, width, found[tile][: width * HASH_BYTES])
        yield pieces.take()
    for name, version in sorted(types & schemas.keys()):
        writer.add_file(f"schemas/{name}/{version}.json", schemas[name, version])
    keys = [row["key"] for row in await pool.fetch(KEYS)]
    writer.add_file("keys.txt", "".join(f"{key}\n" for key in keys).encode())
    writer.add_file("README.txt", files("service.audit").joinpath("bundle_readme.txt").read_bytes())
    writer.finish(part.size, part.first, part.last, part.team)
    yield pieces.take()


def tiles_of_part(part: Part) -> list[Tile]:
    """The tiles that have these events' hashes, and those that lead from them to the tree head's root, in order."""
    tiles: list[Tile] = []
    for level in range(MAX_LEVEL):
        hashes = part.size >> HEIGHT * level
        if hashes == 0:
            break
        first, last = ((position - 1 >> HEIGHT * level) // WIDTH for position in (part.first, part.last))
        edge = (hashes - 1) // WIDTH
        tiles += [(level, index) for index in sorted({*range(first, min(last, edge) + 1), edge})]
    return tiles


async def _events(pool: Connection | Pool, part: Part) -> AsyncIterator[list[asyncpg.Record]]:
    after = part.first - 1
    while rows := await pool.fetch(EVENTS, after, part.last):
        yield rows
        after = rows[-1]["position"]


async def _heads(pool: Connection | Pool, part: Part) -> AsyncIterator[list[str]]:
    """Those that the part's events can be held against: of the sizes that it goes through, and the newest."""
    for size, last in ((part.first - 1, min(part.last, part.size - 1)), (part.size, part.size)):
        epoch = 0
        while rows := await pool.fetch(HEADS, size, epoch, last):
            yield [row["note"] + "".join(f"{line.rstrip()}\n" for line in row["lines"]) for row in rows]
            size, epoch = rows[-1]["size"], rows[-1]["epoch"]


def _add_events(writer: BundleWriter, rows: Iterable[asyncpg.Record], epochs: Epochs, team: str | None) -> None:
    writer.add_events(_lines(RecordedEvent(**row), epochs, team) for row in rows)


def _lines(event: RecordedEvent, epochs: Epochs, team: str | None) -> tuple[bytes, bytes, bytes]:
    leaf = leaf_of(event, epochs.at(event.position))
    if team not in (None, event.team_id):
        return leaf, WITHHELD, WITHHELD
    return leaf, event.configuration.encode(), event.metadata.encode()


class _Pieces:
    """What was written and not taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, content: bytes, /) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
