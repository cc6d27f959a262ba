"""Counts of refused requests: added up over processes, kept over restarts, forgotten in time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from db.pool import Pool, open_pool
from events.envelope import new_id
from service.audit.errors import FORGET, ErrorCounts
from service.auth.caller import LOCAL, Caller
from tests.postgres import Database

OTHER = msgspec.structs.replace(LOCAL, user_id=UUID("00000000-0000-7000-8000-000000000002"))


async def counts(pool: Pool) -> dict[tuple[UUID, str, str], int]:
    rows = await pool.fetch("SELECT user_id, route, code, sum(count) AS count FROM request_errors GROUP BY 1, 2, 3")
    return {(row["user_id"], row["route"], row["code"]): row["count"] for row in rows}


async def test_counts_of_many_processes_are_added_up(database: Database, pool: Pool) -> None:
    pools = [await open_pool(database.service_url, size=1) for _ in range(4)]
    processes = [ErrorCounts(each, kept_days=400) for each in pools]
    callers = [Caller("local", new_id()) for _ in range(10)]
    for _ in range(5):
        for number, process in enumerate(processes):
            # In another order in each: they must not wait for each other in a circle.
            for caller in callers[number:] + callers[:number]:
                process.note(caller, "GET /x", "not_found")
        await asyncio.gather(*(process.flush() for process in processes))
    assert await counts(pool) == {(caller.user_id, "GET /x", "not_found"): 20 for caller in callers}
    for each in pools:
        await each.close()


async def test_what_cannot_be_added_now_is_added_later(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = ErrorCounts(pool, kept_days=400)
    errors.note(LOCAL, "GET /x", "invalid")

    async def away(*_: Any) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as broken:
        broken.setattr(errors, "_pool", type("Away", (), {"execute": away}))
        with pytest.raises(ConnectionRefusedError):
            await errors.flush()
        await errors.close()  # says so, and raises nothing
    errors.note(LOCAL, "GET /x", "invalid")
    errors.note(OTHER, "GET /x", "stale")
    await errors.close()
    assert await counts(pool) == {(LOCAL.user_id, "GET /x", "invalid"): 2, (OTHER.user_id, "GET /x", "stale"): 1}


async def test_counts_are_forgotten_after_their_days(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO request_errors SELECT 'local', (clock_timestamp() AT TIME ZONE 'UTC')::date - n, $1, 'r', 'c', 1"
        " FROM generate_series(0, 9) n",
        LOCAL.user_id,
    )
    await pool.execute(FORGET, 3)
    ages = "SELECT max((clock_timestamp() AT TIME ZONE 'UTC')::date - day) FROM request_errors"
    assert await pool.fetchval(ages) == 3
