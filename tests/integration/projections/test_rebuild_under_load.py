"""A rebuild of 20,000 events while everything goes on, by a process that is killed once; `make soak` has a million."""

from __future__ import annotations

from db.pool import Pool
from projections.rebuild import verify
from tests.postgres import Database
from tests.rebuilding import DAMAGED, rebuild_under_load

EVENTS = 20_000


async def test_a_rebuild_goes_on_after_a_kill_and_nobody_ever_finds_the_tables_half(
    database: Database, pool: Pool
) -> None:
    outcome = await rebuild_under_load(database, pool, EVENTS, kills=1)
    assert outcome.rebuilt["resumed_from"] == outcome.killed_at[0] > 0
    assert outcome.rebuilt["position"] > EVENTS
    assert outcome.rebuilt["difference"] == DAMAGED
    assert outcome.reads > 0
    assert outcome.written > 0
    assert (await verify(database.service_url)).differences == {}
