"""One INSERT per request over an asyncpg pool, into a copy of the log."""

from __future__ import annotations

import asyncpg

from events.envelope import new_id
from tests.bench import sample
from tests.bench.log_copy import COLUMNS, create_log_copy
from tests.bench.measuring import Load, Loop, Result, check_rows
from tests.postgres import Database

TABLE = "pool_log"
CONNECTIONS = 32
INSERT = (
    f"INSERT INTO {TABLE} ({COLUMNS}) VALUES"
    f" (nextval('{TABLE}_position'), $1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())"
)


async def measure(database: Database, load: Load) -> Result:
    await create_log_copy(database, TABLE)
    pool = await asyncpg.create_pool(database.admin_url, min_size=CONNECTIONS, max_size=CONNECTIONS)

    async def append() -> None:
        await pool.execute(
            INSERT,
            new_id(),
            sample.new_stream(),
            sample.EVENT_TYPE.name,
            sample.EVENT_TYPE.version,
            sample.TEAM,
            sample.USER,
            sample.WORKFLOW,
            "review",
            sample.CONFIGURATION,
            sample.METADATA_JSON,
        )

    loop = Loop(load)
    try:
        result = await loop.run(append)
    finally:
        await pool.close()
    await check_rows(database.admin_url, TABLE, loop.appended)
    return result
