"""The places that heads are taken to, beyond the reach of whoever can alter the database.

A place gets every head, in order, at least once: how far it has come is in a table, and what is not known to have
arrived is sent again. Neither that table nor the one with the heads is believed: each head is held against the folder's
keys before it leaves, and the last one that the folder has leaves whatever the tables say.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import asyncpg
import structlog

from db.pool import Connection, Pool, end_if_cancelled
from events.tree.notes import NoteError, VerifierKey
from service.settings import Settings
from service.tree.folder import SignedHead, TreeFolder, signed_head
from service.tree.heads import read_newest_head

log = structlog.get_logger()

BATCH = 100
PATIENCE = 20.0
"""Seconds that a place may take for one batch, and the database as many."""
PAUSE = 1.0
WAITING = f"""
SELECT epoch, size, note FROM tree_heads WHERE (epoch, size) > ($1, $2) ORDER BY epoch, size LIMIT {BATCH}
"""  # noqa: S608


class HeadsAltered(Exception):
    """A table, or a place, has what was not signed; the message says where."""


class Place(Protocol):
    """Somewhere outside. `name` is the same for as long as the place is the same; `kind` is a word for metrics."""

    kind: str
    name: str

    async def take(self, heads: Sequence[SignedHead]) -> None:
        """Keeps these heads, and comes back when they are kept. It may be given one again. Raises HeadsAltered where
        another one is in its place there."""
        ...

    async def close(self) -> None:
        """Nothing more comes."""
        ...


class FilePlace:
    """A file that heads are appended to, with blank lines between two, also behind one that was cut off."""

    kind = "file"

    def __init__(self, file: Path) -> None:
        self.name = f"file {file}"
        self._file = file
        self._end = 0
        """How large the file was when the last head was written whole."""

    async def take(self, heads: Sequence[SignedHead]) -> None:
        await asyncio.to_thread(self._append, "".join(f"{head.note}\n" for head in heads))

    def _append(self, text: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as opened:
            if os.fstat(opened.fileno()).st_size != self._end:
                opened.write("\n\n")  # what others wrote may be cut off, and nobody need let us read it
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
            self._end = os.fstat(opened.fileno()).st_size

    async def close(self) -> None:
        pass


class LogPlace:
    """Lines of this process's own log."""

    kind = name = "log"

    async def take(self, heads: Sequence[SignedHead]) -> None:
        for each in heads:
            log.info("tree_head", epoch=each.epoch, size=each.head.size, note=str(each.note))

    async def close(self) -> None:
        pass


def places_of(settings: Settings) -> list[Place]:
    """Those that the settings name. Raises SettingsError."""
    places: list[Place] = []
    if settings.tree_heads_log:
        places.append(LogPlace())
    if settings.tree_heads_file is not None:
        places.append(FilePlace(settings.tree_heads_file))
    if settings.tree_heads_url is not None:
        from service.tree.s3_place import S3Place  # each library is loaded where it is used

        places.append(S3Place(settings))
    if settings.tree_heads_amqp and settings.amqp_url is not None:
        from service.tree.amqp_place import AmqpPlace

        places.append(AmqpPlace(settings))
    return places


class HeadCarrier:
    """Takes new heads to one place; of several processes with the role, one at a time."""

    def __init__(self, pool: Pool, place: Place, folder: Path) -> None:
        self._pool = pool
        self._place = place
        self._folder = TreeFolder(folder)
        self._taken = (0, 0)
        """The order of the last head that this process has taken there."""
        self.problem: str | None = None
        """Why heads do not arrive there, where that is so."""

    @property
    def place(self) -> str:
        """The place's name."""
        return self._place.name

    @property
    def kind(self) -> str:
        """The place's kind."""
        return self._place.kind

    async def run(self) -> None:
        """Looks for new heads every second, until cancelled; outlives a place that is away."""
        try:
            while True:
                more = False
                try:
                    more = await self.carry()
                    self.problem = None
                except Exception as error:  # whatever the database, the disk, the store or the broker may raise
                    end_if_cancelled(error)
                    said = f"{type(error).__name__}: {error}"
                    if self.problem is None or (isinstance(error, HeadsAltered) and self.problem != said):
                        log.warning("tree_heads_not_taken", place=self.place, error=said)
                    self.problem = said
                if not more:
                    await asyncio.sleep(PAUSE)
        finally:
            await self._place.close()

    async def carry(self) -> bool:
        """Takes the next heads there; whether there may be more. Raises HeadsAltered, when what can be taken was."""
        async with asyncio.timeout(2 * PATIENCE), self._pool.acquire() as connection, connection.transaction():
            more, altered = await self._carry(connection)
        if altered is not None:
            raise HeadsAltered(altered)
        return more

    async def _carry(self, connection: Connection) -> tuple[bool, str | None]:
        """Whether there may be more, and what in the tables was altered."""
        await connection.execute("INSERT INTO tree_pushes (place) VALUES ($1) ON CONFLICT DO NOTHING", self.place)
        pushed = await connection.fetchrow(
            "SELECT epoch, size FROM tree_pushes WHERE place = $1 FOR UPDATE SKIP LOCKED", self.place
        )
        # Before the table is read, which has it an instant later.
        keys, last = await asyncio.to_thread(lambda: (self._folder.verifier_keys(), self._folder.last_head()))
        # Another process has the row; or somebody holds on to it, so that the last head is taken all the same.
        rows = [] if pushed is None else await connection.fetch(WAITING, *pushed)
        heads, altered = _heads_of(rows, keys)
        if pushed and not rows and tuple(pushed) > await _last_order(connection, keys, last):
            altered = (
                f"the table tree_pushes says that the head of {pushed['size']} events in epoch {pushed['epoch']} was"
                " taken there, and none so late was signed"
            )
        reached = heads[-1].order if heads else (0, 0)
        # The first one may have been the folder's last at the look before.
        taken = heads[1:] if heads and heads[0].order == self._taken else heads[:]
        all_read = len(rows) < BATCH or altered is not None or self.problem is not None
        if last is not None and all_read and last.order > max(reached, self._taken):
            taken.append(last)
        if taken:
            async with asyncio.timeout(PATIENCE):
                await self._place.take(taken)
            self._taken = taken[-1].order
        if heads:
            await connection.execute(
                "UPDATE tree_pushes SET epoch = $2, size = $3 WHERE place = $1", self.place, *reached
            )
        return len(rows) == BATCH, altered


def _heads_of(rows: Sequence[asyncpg.Record], keys: Sequence[VerifierKey]) -> tuple[list[SignedHead], str | None]:
    """The heads up to the first one that the keys have not signed, and what is wrong with that."""
    heads: list[SignedHead] = []
    for row in rows:
        try:
            signed = signed_head(row["note"], keys)
            if signed.order != (row["epoch"], row["size"]):
                raise NoteError(f"it is the one of {signed.head.size} events in epoch {signed.epoch}")
        except NoteError as error:
            where = f"the head of {row['size']} events in epoch {row['epoch']} in the table tree_heads"
            return heads, f"{where} is not what was signed: {error}"
        heads.append(signed)
    return heads, None


async def _last_order(connection: Connection, keys: Sequence[VerifierKey], last: SignedHead | None) -> tuple[int, int]:
    """Of the last head that was signed: the folder's, or where another machine has signed since, the table's."""
    order, newest = (0, 0) if last is None else last.order, await read_newest_head(connection)
    try:
        return order if newest is None else max(order, signed_head(newest, keys).order)
    except NoteError:
        return order
