"""What a connection of the pool is when somebody else gets it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from db.pool import open_pool
from tests.postgres import Database

STATEMENT = "SELECT position FROM projection_checkpoints WHERE projection = $1"


async def locks(database: Database, pid: int) -> int:
    """How many tables the server's process has locked."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        return await admin.fetchval("SELECT count(*) FROM pg_locks WHERE pid = $1 AND relation IS NOT NULL", pid)  # type: ignore[no-any-return]
    finally:
        await admin.close()


@pytest.mark.parametrize("steps", range(8))
async def test_a_statement_that_is_cancelled_anywhere_leaves_no_lock(database: Database, steps: int) -> None:
    pool = await open_pool(database.service_url, size=1)
    pid = await pool.fetchval("SELECT pg_backend_pid()")
    reading = asyncio.create_task(pool.fetchval(STATEMENT, "read_models"))
    for _ in range(steps):
        await asyncio.sleep(0.001 if steps > 4 else 0)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    assert await locks(database, pid) == 0
    await pool.close()


async def test_a_statement_whose_values_are_refused_leaves_no_lock(database: Database) -> None:
    pool = await open_pool(database.service_url, size=1)
    pid = await pool.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.DataError):
        await pool.fetchval(STATEMENT, 5)
    assert await locks(database, pid) == 0
    assert await pool.fetchval("SELECT pg_backend_pid()") == pid
    await pool.close()
