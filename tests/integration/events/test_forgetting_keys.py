"""Idempotency keys are kept as long as they are promised, and no longer."""

from __future__ import annotations

import asyncpg

from db.pool import Pool
from tests.postgres import Database


async def test_keys_are_forgotten_after_7_days_and_claims_on_executions_after_60(
    database: Database, pool: Pool
) -> None:
    ages = {"new": 6, "old": 8, "amc-execution\nclaimed": 8, "amc-execution\nlong ago": 61}
    admin = await asyncpg.connect(database.admin_url)
    for key, days in ages.items():
        await admin.execute(
            "INSERT INTO idempotency_keys"
            " VALUES ($1, '', 200, '{}', 1, 1, clock_timestamp() - make_interval(days => $2))",
            key,
            days,
        )
    await admin.close()
    await pool.execute("SELECT forget_idempotency_keys()")
    rows = await pool.fetch("SELECT key FROM idempotency_keys ORDER BY key")
    assert [row["key"] for row in rows] == ["amc-execution\nclaimed", "new"]
