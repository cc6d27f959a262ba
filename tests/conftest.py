"""Fixtures that all tests share. PostgreSQL, HTTP and the sandbox are real."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from db.pool import Pool, open_pool
from tests.postgres import Database, Server, start_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    # Not below pytest's own folder: the server runs as another user there, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-postgres-", dir="/var/tmp"))
    server, postgres = start_server(folder / "data")
    yield server
    asyncio.run(postgres.stop())
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database(postgres_server: Server) -> AsyncIterator[Database]:
    """A fresh, migrated database."""
    async with postgres_server.fresh_database() as database:
        yield database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections as the service's own role."""
    pool = await open_pool(database.service_url)
    yield pool
    await pool.close()
