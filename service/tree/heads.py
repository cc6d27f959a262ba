"""The signed heads in the database, for readers and for the places that they are taken to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from db.pool import Connection, Pool
from events.tree.heads import TreeHead, head_of
from events.tree.notes import Note, NoteError, VerifierKey, parse_note, parse_signature
from service.tree.folder import SignedHead

COLUMNS = """
SELECT h.epoch, h.size, h.note, h.signed_at,
       ARRAY(SELECT c.line FROM tree_cosignatures c WHERE c.epoch = h.epoch AND c.size = h.size ORDER BY c.key) AS lines
  FROM tree_heads h
"""
NEWEST = "SELECT note, size FROM tree_heads ORDER BY epoch DESC, size DESC LIMIT 1"
FIND = f"""{COLUMNS}
 WHERE h.epoch = (SELECT max(epoch) FROM tree_heads) AND ($1::bigint IS NULL OR h.size = $1) AND h.size >= $2
   AND (NOT $3 OR EXISTS (SELECT FROM tree_cosignatures c WHERE c.epoch = h.epoch AND c.size = h.size))
 ORDER BY h.size DESC LIMIT 1
"""  # noqa: S608


class KnownHead(msgspec.Struct, frozen=True):
    """A head as readers get it: with the log's signatures and those of witnesses. `signed_at` is when the database
    had it, which nothing signs."""

    epoch: int
    head: TreeHead
    note: Note
    signed_at: datetime


async def insert_head(connection: Connection, signed: SignedHead, keys: Iterable[VerifierKey]) -> None:
    """Puts a head where readers find it, with the keys that have signed it; nothing where it is there already."""
    await connection.execute(
        "INSERT INTO tree_heads (epoch, size, note) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        signed.epoch,
        signed.head.size,
        str(signed.note),
    )
    await connection.execute(
        "INSERT INTO tree_keys (key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        [key.text for key in signed.note.verified(keys)],
    )


async def read_newest_head(connection: Connection | Pool) -> str | None:
    """The newest head's note; null where there is none."""
    return await connection.fetchval(NEWEST)  # type: ignore[no-any-return]


async def read_newest_size(connection: Connection | Pool) -> int | None:
    """Of how many events the newest head is; null where there is none."""
    return await connection.fetchval(NEWEST, column=1)  # type: ignore[no-any-return]


async def read_head_of(
    connection: Connection | Pool, *, size: int | None = None, least: int = 0, cosigned: bool = False
) -> KnownHead | None:
    """The newest head of at least `least` leaves, of exactly `size`, that a witness has signed too; null where there
    is none. Only heads of the log's last epoch: what older ones say need not hold of the log as it is."""
    row = await connection.fetchrow(FIND, size, least, cosigned)
    return None if row is None else known_head(row)


def known_head(row: asyncpg.Record) -> KnownHead:
    """A row with its co-signatures as one note."""
    note = parse_note(row["note"])
    cosigned = tuple(parse_signature(line.rstrip("\n")) for line in row["lines"])
    return KnownHead(row["epoch"], head_of(note), Note(note.text, note.signatures + cosigned), row["signed_at"])


async def read_keys(connection: Connection | Pool) -> list[asyncpg.Record]:
    """The public keys that heads were signed with, the first one first."""
    return await connection.fetch("SELECT key, first_used FROM tree_keys ORDER BY first_used, key")


async def add_cosignatures(
    connection: Pool, known: KnownHead, note: Note, witnesses: Iterable[VerifierKey]
) -> list[str]:
    """Keeps the signatures of these witnesses, and answers their keys. Raises NoteError where one does not hold, or
    none of them has signed."""
    if note.text != known.note.text:
        raise NoteError("the note is not the head that the log has of this size")
    signers = note.verified(witnesses)
    for key in signers:
        line = next(signature.line for signature in note.signatures if key.signed(signature))
        await connection.execute(
            "INSERT INTO tree_cosignatures (epoch, size, key, line) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            known.epoch,
            known.head.size,
            key.text,
            line,
        )
    return [key.text for key in signers]
