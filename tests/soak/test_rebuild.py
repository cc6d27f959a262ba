"""A million events: rebuilt while everything goes on, by a process that is killed four times; and looked back on."""

from __future__ import annotations

import random

import pytest

from db.pool import Connection, Pool
from projections.rebuild import no_progress, verify
from projections.scratch import SCHEMA, open_scratch
from tests.histories import fill_history
from tests.postgres import Database
from tests.rebuilding import DAMAGED, rebuild_under_load
from tests.states import compare_states

EVENTS = 1_000_000


async def test_a_rebuild_goes_on_after_each_kill_and_nobody_ever_finds_the_tables_half(
    database: Database, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = await rebuild_under_load(database, pool, EVENTS, kills=4)
    assert outcome.killed_at == sorted(set(outcome.killed_at))
    assert outcome.rebuilt["resumed_from"] == outcome.killed_at[-1] >= EVENTS * 4 // 5
    assert outcome.rebuilt["difference"] == DAMAGED
    assert (await verify(database.service_url)).differences == {}
    with capsys.disabled():
        print(
            f"\nkilled at {outcome.killed_at}; the rest and the change took {outcome.seconds:.1f} s, with"
            f" {outcome.reads:,} whole reads and {outcome.written:,} collections written all the while"
        )


async def test_states_of_a_long_log_are_what_tables_hold_that_have_applied_just_the_events_before(
    database: Database, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill_history(database, EVENTS)
    chance = random.Random(20260101)
    compared = 0
    async with open_scratch(database.service_url) as scratch:
        for position in sorted(chance.sample(range(1, EVENTS + 1), 5)):

            async def end(connection: Connection, position: int = position) -> int:
                return position

            await scratch.build(end, no_progress)
            assert scratch.position == position
            compared += await compare_states(pool, scratch.connection, SCHEMA, position, chance, 200)
        await scratch.drop()
    with capsys.disabled():
        print(f"\n{compared:,} states compared")
