"""The database's clock, as a process has measured it."""

from __future__ import annotations

import time

import pytest

from db.clock import DatabaseClock
from db.pool import Pool


async def test_the_databases_time_counts_and_not_the_machines(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() - 7 * 86400)
    clock = DatabaseClock(pool)
    assert clock.now() < right() - 86400
    await clock.measure()
    told = await pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    assert abs(clock.now() - told) < 60
