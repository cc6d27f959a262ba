"""The read models once more, beside the live ones: built from position 1 in the schema `report_builder_rebuild`.

The log is read a batch ahead of the fold, the rows stay in memory, and at every SPAN positions what has changed is
copied to the tables, with the position, in one transaction, while the fold goes on. So whoever is killed loses two
spans at most, and the next one goes on from there; if its code is the same, as other code might have made other rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path

import asyncpg

import events
import projections
from db.pool import Connection, OwnConnection
from events.envelope import RecordedEvent
from events.reader import LogDamaged, no_collector, read_log, read_span
from projections.rows import Changes, Rows, copy_changes
from projections.runner import TABLES, fold, want_rows

SCHEMA = "report_builder_rebuild"

SPAN = 50_000
MAX_ROWS = 200_000
"""Rows that are kept in memory from one span to the next: about a kilobyte each."""

End = Callable[[Connection], Awaitable[int]]
Progress = Callable[[int, int], None]


class RebuildRunning(Exception):
    """Another rebuild or verification is at work."""


class Scratch:
    """The tables and how far they have come. `connection` writes them; what else is done on it sees them as they are
    after `keep`."""

    def __init__(self, connection: OwnConnection, reader: OwnConnection, position: int) -> None:
        self.connection = connection
        self.position = position
        self.reader = reader
        # From here on rows may have changed that nobody writes yet; what is before may be on its way.
        self._begun = position
        self._keeping: asyncio.Task[None] | None = None
        self._rows = Rows(TABLES)
        # Whether every row that there is is in memory, so that none need be looked up.
        self._whole = position == 0

    async def build(self, end: End, progress: Progress) -> None:
        """Applies the log up to `end`, which is asked again when it is reached, as the log goes on meanwhile.
        Raises CannotApply, LogDamaged."""
        try:
            while self.position < (target := await end(self.reader)):
                await self._build(target, progress)
        finally:
            await self._settled()
        await self.keep()
        progress(self.position, self.position)

    async def _build(self, target: int, progress: Progress) -> None:
        progress(self.position, target)
        await self._settled()
        await self.connection.execute("UPDATE rebuild_progress SET target = $1", target)
        begun = self.position
        async for batch in read_log(self.reader, self.position, target):
            await self._apply(batch)
            if self.position - self._begun >= SPAN or len(self._rows) > 2 * MAX_ROWS:
                await self._begin_keeping()
            progress(self.position, target)
        if self.position == begun:
            raise _ends_early(begun, target)

    async def catch_up(self, target: int) -> None:
        """Applies what is left up to the position, in the transaction that the connection has open."""
        while self.position < target:
            batch = await read_span(self.connection, self.position, target)
            if not batch:
                raise _ends_early(self.position, target)
            await self._apply(batch)
        await self.keep()

    async def keep(self) -> None:
        """Writes what has changed since the last time, and the position."""
        await self._begin_keeping()
        await self._settled()

    async def _begin_keeping(self) -> None:
        """The same, while the caller goes on; one at a time."""
        await self._settled()
        self._keeping = asyncio.create_task(self._write(self._rows.take_changes(), self.position))
        self._begun = self.position
        if len(self._rows) > MAX_ROWS:
            self._rows, self._whole = Rows(TABLES), False

    async def _write(self, changes: list[Changes], position: int) -> None:
        async with self.connection.transaction():
            await copy_changes(self.connection, changes, SCHEMA)
            await self.connection.execute(
                "UPDATE rebuild_progress SET position = $1, updated_at = clock_timestamp()", position
            )

    async def _settled(self) -> None:
        """Until what is being written is written: from then on the connection is free."""
        if (keeping := self._keeping) is not None:
            self._keeping = None
            await keeping

    async def drop(self) -> None:
        """Removes the tables."""
        await self.connection.execute("SELECT end_rebuild()")

    async def _apply(self, batch: list[RecordedEvent]) -> None:
        if not self._whole:
            want_rows(batch, self._rows)
            await self._settled()
            await self._rows.load(self.connection)
        fold(batch, self._rows)
        self.position = batch[-1].position


def _ends_early(position: int, target: int) -> LogDamaged:
    return LogDamaged(f"the log ends at position {position}, but the read models have applied position {target}")


@contextlib.asynccontextmanager
async def open_scratch(url: str) -> AsyncIterator[Scratch]:
    """The scratch tables: those that an earlier one has left, if they are of this code, else new ones.

    Takes an address, not a pool: on connections of its own no statement is cached that means a live table. Raises
    RebuildRunning.
    """
    async with _connection(url) as connection, _connection(url) as reader:
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('report_builder_rebuild'))"):
            raise RebuildRunning("another rebuild or verification is at work; see `report-builder projections status`")
        with no_collector():
            yield Scratch(connection, reader, await begin(connection))


async def begin(connection: Connection) -> int:
    """Makes the tables, or finds them; answers the position that they have come to."""
    migration = await connection.fetchval("SELECT max(number) FROM schema_migrations")
    position: int = await connection.fetchval(
        "SELECT begin_rebuild($1, $2)", [table.name for table in TABLES], f"{_code()} on migration {migration}"
    )
    return position


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator[OwnConnection]:
    connection = await asyncpg.connect(
        url,
        server_settings={
            "application_name": "report-builder rebuild",
            "timezone": "UTC",
            "search_path": f"{SCHEMA}, public",
            # Whoever is frozen in the middle must not keep the projector's lock.
            "idle_in_transaction_session_timeout": "30s",
        },
    )
    try:
        yield connection
    finally:
        with contextlib.suppress(Exception):  # what has ended the work says more
            await connection.close(timeout=5)


@cache
def _code() -> str:
    """SHA-256 of the code that makes rows of events, and of what reads the events."""
    digest = hashlib.sha256()
    for package in (events, projections):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
