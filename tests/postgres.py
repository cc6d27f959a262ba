"""PostgreSQL for tests: one real server for the session, a fresh migrated database for each test."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg
import msgspec

from db.embedded import SERVICE_LOGIN, EmbeddedPostgres
from db.migrations import migrate_up

TEMPLATE = "report_builder_template"
_numbers = itertools.count(1)


class Database(msgspec.Struct, frozen=True):
    """Addresses of one database: the superuser's, and the service's own role's."""

    name: str
    admin_url: str
    service_url: str


class Server:
    """A PostgreSQL server that tests share; `socket_folder` is where it listens."""

    def __init__(self, socket_folder: str) -> None:
        self.socket_folder = socket_folder

    def database(self, name: str) -> Database:
        host = quote(self.socket_folder, safe="")
        return Database(
            name,
            f"postgresql://postgres@/{name}?host={host}",
            f"postgresql://{SERVICE_LOGIN}@/{name}?host={host}",
        )

    async def run(self, sql: str) -> None:
        """One statement as superuser, outside of any transaction."""
        connection = await asyncpg.connect(self.database("postgres").admin_url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def create_template(self) -> None:
        """The migrated database that the others are copied from."""
        await self.run(f"CREATE DATABASE {TEMPLATE}")
        template = self.database(TEMPLATE)
        await migrate_up(template.admin_url, service_url=template.service_url)

    @asynccontextmanager
    async def fresh_database(self, *, migrated: bool = True) -> AsyncIterator[Database]:
        """A database of its own, dropped at the end."""
        name = f"test_{next(_numbers)}"
        await self.run(f"CREATE DATABASE {name} STRATEGY FILE_COPY" + (f" TEMPLATE {TEMPLATE}" if migrated else ""))
        try:
            yield self.database(name)
        finally:
            await self.run(f"DROP DATABASE {name} WITH (FORCE)")


class OwnServer:
    """A server for one deployment of several processes, migrated, that a test may kill. `folder` must be one that
    other users can pass through."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres = EmbeddedPostgres(folder)

    async def start(self) -> None:
        """Starts it, or again after `kill`: with what was committed."""
        await self._postgres.start()
        await migrate_up(self._postgres.admin_url, service_url=self.service_url)

    def kill(self) -> None:
        """SIGKILL to the server and everything that it has started."""
        server = int((self._folder / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in (server, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        await self._postgres.stop()

    @property
    def service_url(self) -> str:
        """The service's own role; the same for as long as the folder is."""
        return self._postgres.service_url


def start_server(folder: Path, *, durable: bool) -> tuple[Server, EmbeddedPostgres]:
    """The embedded server, with the template in place. One that is not durable loses all when the machine stops, and
    makes a database of its 1,400 files in a tenth of the time."""

    async def start() -> tuple[Server, EmbeddedPostgres]:
        postgres = EmbeddedPostgres(folder)
        await postgres.start()
        server = Server(postgres.socket_folder)
        if not durable:
            await server.run("ALTER SYSTEM SET fsync = off")
            await server.run("ALTER SYSTEM SET full_page_writes = off")
            await server.run("SELECT pg_reload_conf()")
        await server.create_template()
        return server, postgres

    return asyncio.run(start())
