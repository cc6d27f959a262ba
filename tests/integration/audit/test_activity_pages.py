"""Pages of activity on a log of 100,000 events: what they show, by which indexes, and how much they look at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from db.pool import Pool, open_pool
from events.registry import REGISTRY
from projections.activity import BLOCK
from projections.steps import STEPS
from service.audit.pages import MAX_INDEX_ROWS, read_page
from service.audit.queries import STEP_TYPES, Filters, Order
from tests.integration.audit.conftest import EVENTS
from tests.long_log import BIG, SMALL
from tests.postgres import Database

START = datetime(2026, 1, 1, tzinfo=UTC)


def moment(position: float) -> datetime:
    """When the long log has come to the position."""
    return START + timedelta(seconds=2.592) * position


@pytest.fixture
async def pool(long_log: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(long_log.service_url, size=2)
    yield pool
    await pool.close()


@pytest.fixture
async def filters(pool: Pool) -> dict[str, Filters]:
    """Each filter alone, and some together."""
    row: Any = await pool.fetchrow(
        "SELECT user_id, workflow_id, stream FROM report_builder_audit"
        " WHERE team_id = $1 AND event_type = 'report.submitted' ORDER BY position DESC LIMIT 1",
        BIG,
    )
    rare = await pool.fetchval("SELECT user_id FROM report_builder_audit WHERE team_id = $1 LIMIT 1", SMALL)
    big = Filters(team_id=BIG)

    def also(**more: Any) -> Filters:
        return msgspec.structs.replace(big, **more)

    return {
        "team": big,
        "small team": Filters(team_id=SMALL),
        "all teams": Filters(),
        "user": also(user_id=row["user_id"]),
        "user, all teams": Filters(user_id=rare),
        "workflow": also(workflow_id=row["workflow_id"]),
        "stream": also(stream=row["stream"]),
        "stream and type": also(stream=row["stream"], event_type="report.s"),
        "stream of another team": Filters(team_id=SMALL, stream=row["stream"]),
        "entity": also(entity="report"),
        "type": also(event_type="report.submitted"),
        "types": also(event_type="segment.s"),
        "rare type": Filters(event_type="workflow.created"),
        "no such type": also(event_type="nothing"),
        "type and entity that never meet": also(event_type="report.", entity="segment"),
        "step": also(step="review"),
        "time": also(since=moment(40_000.5), until=moment(41_000.5)),
        "time and step": also(step="submit", since=moment(20_000), until=moment(90_000)),
        "time before the log": also(until=START),
        "time after the log": also(since=moment(EVENTS + 1)),
        "user and type": also(user_id=row["user_id"], event_type="segment."),
        "user and workflow": also(user_id=row["user_id"], workflow_id=row["workflow_id"]),
        "user, workflow, step": also(user_id=row["user_id"], workflow_id=row["workflow_id"], step="submit"),
        "user of another team": also(user_id=rare),
    }


NAMES = (
    "team", "small team", "all teams", "user", "user, all teams", "workflow", "stream", "stream and type",
    "stream of another team", "entity", "type", "types", "rare type", "no such type",
    "type and entity that never meet", "step", "time", "time and step", "time before the log", "time after the log",
    "user and type", "user and workflow", "user, workflow, step", "user of another team",
)  # fmt: skip


async def plainly(pool: Pool, filters: Filters) -> list[int]:
    """The positions that pass, by the filters' own words and no index."""
    rows = await pool.fetch(
        "SELECT position FROM report_builder_activity WHERE ($1::text IS NULL OR team_id = $1)"
        " AND ($2::uuid IS NULL OR user_id = $2) AND ($3::text IS NULL OR workflow_id = $3)"
        " AND ($4::text IS NULL OR entity = $4) AND ($5::text IS NULL OR stream = $5)"
        " AND ($6::text IS NULL OR starts_with(event_type, $6)) AND ($7::text IS NULL OR step_completed = $7)"
        " AND ($8::timestamptz IS NULL OR recorded_at >= $8) AND ($9::timestamptz IS NULL OR recorded_at < $9)"
        " ORDER BY position",
        *msgspec.structs.astuple(filters),
    )
    return [row["position"] for row in rows]


async def walk(pool: Pool, filters: Filters, order: Order, limit: int, cursor: int | None = None) -> list[int]:
    """All positions, page by page."""
    found: list[int] = []
    while True:
        page = await read_page(pool, filters, order, cursor, limit)
        assert len(page.rows) <= limit
        found += [row["position"] for row in page.rows]
        if page.next_cursor is None:
            return found
        assert cursor is None or (page.next_cursor < cursor) == (order == "newest"), "a page leads on"
        cursor = page.next_cursor


@pytest.mark.parametrize("name", NAMES)
async def test_pages_show_everything_that_passes_once_and_in_order(
    pool: Pool, filters: dict[str, Filters], name: str
) -> None:
    expected = await plainly(pool, filters[name])
    assert await walk(pool, filters[name], "oldest", 5000) == expected
    assert await walk(pool, filters[name], "newest", 5000) == expected[::-1]
    assert (await walk(pool, filters[name], "newest", 30, cursor=1500)) == [
        position for position in expected[::-1] if position < 1500
    ]
    assert set(NAMES) == set(filters)


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_a_page_of_one_filter_is_full_where_there_is_enough(
    pool: Pool, filters: dict[str, Filters], order: Order
) -> None:
    for name in ("team", "small team", "all teams", "user", "workflow", "entity", "type", "types", "step"):
        for cursor in (None, EVENTS // 2):
            page = await read_page(pool, filters[name], order, cursor, 50)
            assert (name, len(page.rows)) == (name, 50)


async def test_a_row_has_the_workflows_name_and_the_body_where_it_is_asked_for(pool: Pool) -> None:
    (row,) = (await read_page(pool, Filters(team_id=BIG, event_type="segment."), "newest", None, 1)).rows
    assert (row["entity"], row["workflow_name"]) == ("segment", f"Reach {row['workflow_id'].rpartition('-')[2]}")
    assert row["stream"] == f"segment-{row['entity_id']}"
    assert "configuration" not in row
    (row,) = (await read_page(pool, Filters(team_id=BIG), "newest", None, 1, bodies=True)).rows
    assert "collection_id" in json.loads(row["configuration"])


def looked_at(node: dict[str, Any]) -> int:
    """Rows that a scan produced or threw away, over all its loops."""
    thrown = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return round(float((node["Actual Rows"] + thrown) * node["Actual Loops"]))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


class Explained(msgspec.Struct):
    """What the statements of a page did."""

    indexes: set[str] = msgspec.field(default_factory=set)
    log_rows: int = 0
    index_rows: int = 0


class Explaining:
    """A pool that explains each statement before it runs it."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.seen = pool, Explained()

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        (explained,) = json.loads(await self.pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values))
        for node in nodes(explained["Plan"]):
            relation = node.get("Relation Name")
            if "Index Name" in node:
                self.seen.indexes.add(node["Index Name"])
            assert (node["Node Type"], relation) != ("Seq Scan", "report_builder_audit")
            assert (node["Node Type"], relation) != ("Seq Scan", "activity_blocks")
            if relation == "report_builder_audit":
                self.seen.log_rows += looked_at(node)
            elif relation == "activity_blocks":
                self.seen.index_rows += looked_at(node)
        return await self.pool.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> asyncpg.Record:
        return (await self.fetch(statement, *values))[0]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_page_looks_at_little_by_indexes_alone(
    pool: Pool, filters: dict[str, Filters], name: str, order: Order
) -> None:
    """Of the log about what it shows, and what the index has not come to; of the index as much as it says."""
    for cursor in (None, EVENTS // 2, 90_000 if order == "oldest" else 10_000):
        explaining: Any = Explaining(pool)
        await read_page(explaining, filters[name], order, cursor, 50)
        seen = explaining.seen
        assert seen.log_rows <= 51 + BLOCK + 2, "a page, the head, and what is not in a full block"
        assert seen.index_rows <= MAX_INDEX_ROWS
        if filters[name].stream:
            assert seen.indexes <= {
                "report_builder_audit_stream_version_key", "report_builder_audit_pkey", "activity_blocks_pkey",
                "workflows_pkey",
            }  # fmt: skip
        else:
            assert seen.indexes <= {"report_builder_audit_pkey", "activity_blocks_pkey", "workflows_pkey"}


async def test_the_time_of_a_position_is_found_without_an_index_on_time(pool: Pool) -> None:
    for position in (0, 1, 2, 777, 50_000, EVENTS):
        assert await pool.fetchval("SELECT position_before($1)", moment(position + 0.5)) == position
        # The moment itself is not before itself.
        assert await pool.fetchval("SELECT position_before($1)", moment(position)) == max(position - 1, 0)
    assert await pool.fetchval("SELECT position_before('infinity')") == EVENTS
    assert await pool.fetchval("SELECT position_before(NULL)") is None


async def test_a_streams_version_at_a_position_is_found(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT stream, stream_version, position FROM report_builder_audit"
        " WHERE stream = (SELECT stream FROM report_builder_audit WHERE position = 50000 + 7) ORDER BY position"
    )
    for row in rows:
        at, before = row["position"], row["position"] - 1
        version = "SELECT stream_version_at($1, $2)"
        assert await pool.fetchval(version, row["stream"], at) == row["stream_version"]
        assert await pool.fetchval(version, row["stream"], before) == row["stream_version"] - 1
    assert await pool.fetchval("SELECT stream_version_at('report-none', 100)") == 0


def test_a_step_is_the_type_of_event_that_completes_it() -> None:
    types = {entry.struct: entry.name for entry in REGISTRY.values()}
    assert {step: types[struct] for struct, step in STEPS.items()} == STEP_TYPES


def test_a_type_begins_with_its_entity() -> None:
    assert Filters(entity="letter").types == ["letter.resent", "letter.discarded"]
    assert Filters(event_type="report.s").types == ["report.schedule_set", "report.submitted"]
    assert Filters(event_type="x").types == []
    assert Filters().types is None
