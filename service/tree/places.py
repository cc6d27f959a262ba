"""The places that heads are taken to, beyond the reach of whoever can alter the database.

A place gets every head, in order, at least once: how far it has come is in a table, and what is not known to have
arrived is sent again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog

from db.pool import Pool, end_if_cancelled
from service.settings import Settings
from service.tree.heads import COLUMNS, KnownHead, known_head

log = structlog.get_logger()

BATCH = 100
PATIENCE = 20.0
"""Seconds that a place may take for one batch."""
PAUSE = 1.0


class Place(Protocol):
    """Somewhere outside. `name` is the same for as long as the place is the same; `kind` is a word for metrics."""

    kind: str
    name: str

    async def take(self, heads: Sequence[KnownHead]) -> None:
        """Keeps these heads, and comes back when they are kept. It may be given one again."""
        ...

    async def close(self) -> None:
        """Nothing more comes."""
        ...


class FilePlace:
    """A file that heads are appended to, with a blank line between two."""

    kind = "file"

    def __init__(self, file: Path) -> None:
        self.name = f"file {file}"
        self._file = file

    async def take(self, heads: Sequence[KnownHead]) -> None:
        await asyncio.to_thread(self._append, "".join(f"{head.note}\n" for head in heads))

    def _append(self, text: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())

    async def close(self) -> None:
        pass


class LogPlace:
    """Lines of this process's own log."""

    kind = name = "log"

    async def take(self, heads: Sequence[KnownHead]) -> None:
        for known in heads:
            log.info("tree_head", epoch=known.epoch, size=known.head.size, note=str(known.note))

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

    def __init__(self, pool: Pool, place: Place) -> None:
        self._pool = pool
        self._place = place
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
                    if self.problem is None:
                        log.warning("tree_heads_not_taken", place=self.place, error=said)
                    self.problem = said
                if not more:
                    await asyncio.sleep(PAUSE)
        finally:
            await self._place.close()

    async def carry(self) -> bool:
        """Takes the next heads there; whether there may be more."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO tree_pushes (place) VALUES ($1) ON CONFLICT DO NOTHING", self.place)
            pushed = await connection.fetchrow(
                "SELECT epoch, size FROM tree_pushes WHERE place = $1 FOR UPDATE SKIP LOCKED", self.place
            )
            if pushed is None:
                return False
            rows = await connection.fetch(
                f"{COLUMNS} WHERE (h.epoch, h.size) > ($1, $2) ORDER BY h.epoch, h.size LIMIT {BATCH}",
                pushed["epoch"],
                pushed["size"],
            )
            if not rows:
                return False
            async with asyncio.timeout(PATIENCE):
                await self._place.take([known_head(row) for row in rows])
            await connection.execute(
                "UPDATE tree_pushes SET epoch = $2, size = $3 WHERE place = $1",
                self.place,
                rows[-1]["epoch"],
                rows[-1]["size"],
            )
            return len(rows) == BATCH
