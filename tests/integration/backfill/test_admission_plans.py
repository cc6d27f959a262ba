"""What a round of admission asks does not grow with the collections that are unfinished."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from events.envelope import new_id
from service.backfill.admission import CANCELLED, ENDED, FAILING
from tests.bench.planned import Plan, fill
from tests.postgres import Database, Server

PLAN = Plan(instances=50, collections=2000, segments=3, teams=10, busy=9)
WAITING = PLAN.collections // PLAN.instances
"""Collections on each instance."""


@pytest.fixture(scope="module")
def planned(postgres_server: Server) -> Iterator[Database]:
    """Every slot for bulk work is taken."""
    with asyncio.Runner() as runner:
        fresh = postgres_server.fresh_database()
        database = runner.run(fresh.__aenter__())
        runner.run(fill(database, PLAN))
        yield database
        runner.run(fresh.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("index", "statement"),
    [
        ("report_data_collections_cancelled_idx", CANCELLED.replace("$1", "500")),
        ("report_data_collections_failing_idx", FAILING),
        ("report_data_collections_ended_idx", ENDED),
    ],
)
async def test_what_is_true_of_few_collections_is_found_without_looking_at_the_others(
    planned: Database, index: str, statement: str
) -> None:
    connection = await asyncpg.connect(planned.service_url)
    plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"))[0]["Plan"]
    await connection.close()
    found = list(_nodes(plan))
    assert index in {node.get("Index Name") for node in found}, plan
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in found) == 0


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


READ = """
SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_user_tables
 WHERE relname IN ('report_data_collections', 'report_data_weeks')
"""


@pytest.mark.parametrize("free", [0, 1, 5])
async def test_a_tick_reads_the_collections_that_may_be_next_and_a_segment_of_each(
    planned: Database, free: int
) -> None:
    connection = await asyncpg.connect(planned.admin_url)

    async def rows_read() -> dict[str, int]:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return {row["relname"]: row["rows"] for row in await connection.fetch(READ)}

    before = await rows_read()
    transaction = connection.transaction()
    await transaction.start()
    instances = [f"amc{number}" for number in range(free)]
    await connection.execute(
        "DELETE FROM segment_leases WHERE segment_id IN"
        " (SELECT DISTINCT ON (instance_id) segment_id FROM segment_leases WHERE instance_id = ANY ($1))",
        instances,
    )
    rows = await connection.fetch("SELECT * FROM admit_segments($1, 60)", [new_id() for _ in range(200)])
    await transaction.rollback()
    assert len(rows) == free
    after = await rows_read()
    await connection.close()
    read = {table: after[table] - before[table] for table in after}
    assert read["report_data_collections"] <= 2 * WAITING * free  # one of them is the look for whether any waits
    assert read["report_data_weeks"] <= WAITING * free
