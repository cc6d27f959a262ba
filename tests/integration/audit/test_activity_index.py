"""The index of blocks: made of full blocks alone, once, and never missed by a page that reads beyond it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from db.pool import Pool, open_pool
from events.envelope import new_id
from events.feed import Feed
from projections.activity import BLOCK, ActivityIndexer, index_activity
from service.audit import pages
from service.audit.pages import read_page
from service.audit.queries import Filters
from tests.postgres import Database
from tests.recording import append, note, request

LAST = "SELECT max(block) FROM activity_blocks WHERE facet = 'all'"


async def record(pool: Pool, events: int) -> None:
    """So many events, every third of team `one`, each seventh by nobody."""
    async with pool.acquire() as connection:
        notes = [
            note(
                team_id="one" if n % 3 == 0 else "two",
                user_id=None if n % 7 == 0 else new_id(),
                workflow_id=f"w{n % 5}",
            )
            for n in range(events)
        ]
        await append(connection, request("log-1", *notes))


async def shown(pool: Pool, order: Any, **filters: Any) -> list[int]:
    """All pages of ten."""
    found: list[int] = []
    cursor = None
    while True:
        page = await read_page(pool, Filters(**filters), order, cursor, 10)
        found += [row["position"] for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_block_is_indexed_when_it_is_full(pool: Pool) -> None:
    await record(pool, BLOCK - 1)
    assert await index_activity(pool) == 0
    await record(pool, 1)
    assert await index_activity(pool) == 1
    assert await index_activity(pool) == 0
    rows = await pool.fetch("SELECT facet, value, bits FROM activity_blocks WHERE facet IN ('all', 'team')")
    bits = {(row["facet"], row["value"]): row["bits"].as_string().replace(" ", "") for row in rows}
    assert bits["all", ""] == "1" * BLOCK
    assert bits["team", "one"] == "".join("1" if n % 3 == 0 else "0" for n in range(BLOCK - 1)) + "1"
    assert bits["team", "two"].count("1") == BLOCK - bits["team", "one"].count("1")


@pytest.mark.parametrize("indexed", [0, 1, 2, 9])
@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_what_is_not_indexed_yet_is_shown_all_the_same(pool: Pool, indexed: int, order: str) -> None:
    await record(pool, 5 * BLOCK + 100)
    await index_activity(pool, most=indexed)
    expected = [n + 1 for n in range(5 * BLOCK + 100) if n % 3 == 0]
    if order == "newest":
        expected.reverse()
    assert await shown(pool, order, team_id="one") == expected
    assert await shown(pool, order, team_id="one", workflow_id="w1") == [p for p in expected if (p - 1) % 5 == 1]
    assert await shown(pool, order, team_id="none") == []


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_a_page_that_has_looked_enough_leads_on(pool: Pool, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """With bounds so small that nearly every page reaches them."""
    monkeypatch.setattr(pages, "MAX_INDEX_ROWS", 2)
    monkeypatch.setattr(pages, "MAX_UNINDEXED", 30)
    await record(pool, 6 * BLOCK + 100)
    await index_activity(pool)
    expected = [n + 1 for n in range(6 * BLOCK + 100) if n % 15 == 6]
    if order == "newest":
        expected.reverse()
    assert await shown(pool, order, team_id="one", workflow_id="w1") == expected
    assert await shown(pool, order, team_id="one", workflow_id="none") == []


async def test_many_that_index_at_once_do_it_once(database: Database, pool: Pool) -> None:
    await record(pool, 20 * BLOCK)
    many = await open_pool(database.service_url, size=8)
    while await pool.fetchval(LAST) != 19:
        assert sum(await asyncio.gather(*(index_activity(many, most=3) for _ in range(8)))) > 0
    await many.close()
    blocks = await pool.fetch("SELECT block FROM activity_blocks WHERE facet = 'all' ORDER BY block")
    assert [row["block"] for row in blocks] == list(range(20))


async def test_the_indexer_follows_the_log(pool: Pool) -> None:
    feed = Feed(pool)
    await feed.start()
    running = [asyncio.create_task(work) for work in (feed.run(), ActivityIndexer(pool, feed).run())]
    try:
        for full in (1, 2, 5):
            await record(pool, (full * BLOCK) - await pool.fetchval("SELECT count(*) FROM report_builder_audit"))
            async with asyncio.timeout(30):
                while await pool.fetchval(LAST) != full - 1:
                    await asyncio.sleep(0.02)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("statement", ["UPDATE activity_blocks SET block = 1", "DELETE FROM activity_blocks"])
async def test_the_service_may_add_to_the_index_alone(pool: Pool, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


async def test_a_row_that_is_wrong_shows_nothing_wrong(database: Database, pool: Pool) -> None:
    await record(pool, BLOCK)
    await index_activity(pool)
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("UPDATE activity_blocks SET bits = ~ 0::bit(256) WHERE facet = 'team' AND value = 'one'")
    await admin.close()
    assert await shown(pool, "oldest", team_id="one") == [n + 1 for n in range(BLOCK) if n % 3 == 0]
