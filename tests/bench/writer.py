"""Ours: events through AppendWriter, as the service's own role."""

from __future__ import annotations

from db.pool import open_pool
from events.writer import AppendWriter
from tests.bench.measuring import CALLERS, Load, Loop, Result, WrongRows, check_rows
from tests.bench.sample import new_request
from tests.postgres import Database


async def measure(database: Database, load: Load, *, callers: int = CALLERS, batch: int = 1) -> Result:
    """Also checks that every caller was told positions of its own."""
    pool = await open_pool(database.service_url)
    writer = AppendWriter(pool)
    positions: list[int] = []

    async def append() -> None:
        positions.append((await writer.append(new_request(batch))).first_position)

    loop = Loop(load, callers, batch)
    try:
        result = await loop.run(append)
    finally:
        await writer.close()
        await pool.close()
    if sorted(positions) != list(range(1, loop.appended + 1, batch)):
        raise WrongRows("two callers were told the same position, or one was left out")
    await check_rows(database.admin_url, "report_builder_audit", loop.appended)
    return result
