"""Rebuild: the same tables from position 1, in place of what differs, without a reader ever noticing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from db.migrations import migrate_up
from db.pool import Pool, open_pool
from events import reader
from events.envelope import new_id
from events.reader import LogDamaged, read_after, read_head
from events.types.log import ProjectionRebuilt
from events.types.workflow import WorkflowArchived, WorkflowChanged, WorkflowUnarchived
from projections import scratch
from projections.difference import Difference, DifferingRow
from projections.rebuild import Rebuilt, Verified, no_progress, rebuild, verify
from projections.runner import TABLES, project_batch, read_checkpoint
from projections.scratch import RebuildRunning, open_scratch
from tests.histories import fill_history
from tests.postgres import Database, Server
from tests.recording import (
    Move,
    append,
    blocked_backend,
    collection,
    instance,
    note,
    record,
    record_collection,
    record_moves,
    request,
    segment_event,
    table_rows,
    workflow,
)

MOVES: tuple[Move, ...] = ("admit", "submit", "start", "execute", "complete")


@pytest.fixture
async def log(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database.service_url)
    yield connection
    await connection.close()


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def segment_ids(log: asyncpg.Connection[Any], pool: Pool) -> list[UUID]:
    """A workflow, an instance, and two collections on their way, projected; the first one's segments."""
    await record(log, "workflow-w1", workflow())
    await record(log, "instance-amc1", instance())
    await record_collection(log, 3)
    collection_id, segment_ids = await record_collection(log, 5)
    for segment_id, length in zip(segment_ids, (5, 5, 3, 1), strict=False):
        await record_moves(log, collection_id, segment_id, *MOVES[:length])
    await project(pool)
    return segment_ids


async def project(pool: Pool) -> None:
    while (await project_batch(pool))[1]:
        pass


async def found(database: Database) -> tuple[int, Difference]:
    """Rebuilds; answers the position and what had differed."""
    rebuilt = await rebuild(database.service_url)
    return rebuilt.position, rebuilt.difference


async def rebuilt_events(pool: Pool) -> list[ProjectionRebuilt]:
    events = await read_after(pool, 0, 100_000)
    return [event.data for event in events if isinstance(event.data, ProjectionRebuilt)]


async def test_a_rebuild_leaves_the_same_tables_and_records_itself(
    database: Database, pool: Pool, segment_ids: list[UUID]
) -> None:
    before, head = await table_rows(pool), await read_head(pool)
    steps: list[tuple[int, int]] = []
    answer = await rebuild(
        database.service_url, reason="to be sure", progress=lambda done, total: steps.append((done, total))
    )
    assert answer == Rebuilt(head, Difference(0, 0, 0), answer.digest, 0)
    assert await table_rows(pool) == before
    recorded = ProjectionRebuilt("read_models", head, 0, 0, 0, answer.digest, "report_builder", "to be sure")
    assert await rebuilt_events(pool) == [recorded]
    assert await read_head(pool) == head + 1
    assert await read_checkpoint(pool) == head
    assert steps[0] == (0, head)
    assert steps[-1] == (head, head)


async def test_a_rebuild_of_an_empty_log_leaves_empty_tables(database: Database, pool: Pool) -> None:
    assert await found(database) == (0, Difference())
    assert not any((await table_rows(pool)).values())


async def test_what_the_projector_has_not_come_to_is_no_difference(
    database: Database, pool: Pool, log: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    collection_id, segments = await record_collection(log, 4)
    for segment_id in segments:
        await record_moves(log, collection_id, segment_id, *MOVES)

    async def come_on_slowly() -> None:
        while True:
            await project_batch(pool, 2)
            await asyncio.sleep(0.1)

    projector = asyncio.create_task(come_on_slowly())
    try:
        assert (await rebuild(database.service_url)).difference == Difference()
    finally:
        projector.cancel()
        await asyncio.gather(projector, return_exceptions=True)


async def test_a_rebuild_twice_in_a_row_changes_nothing(
    database: Database, pool: Pool, segment_ids: list[UUID]
) -> None:
    before = await table_rows(pool)
    for _ in range(2):
        assert (await rebuild(database.service_url)).difference == Difference()
        assert await table_rows(pool) == before
    assert len(await rebuilt_events(pool)) == 2
    await project(pool)
    assert await table_rows(pool) == before


DAMAGES = [
    (
        "INSERT INTO report_data_weeks SELECT (jsonb_populate_record(w, jsonb_build_object("
        "'segment_id', gen_random_uuid(), 'segment_number', 77))).* FROM report_data_weeks w LIMIT 1",
        Difference(removed=1),
    ),
    (
        'INSERT INTO report_data_collections SELECT (jsonb_populate_record(c, \'{"collection_id":'
        ' "00000000-0000-7000-8000-000000000001"}\')).* FROM report_data_collections c LIMIT 1;'
        "INSERT INTO report_data_weeks SELECT (jsonb_populate_record(w, jsonb_build_object('segment_id',"
        " gen_random_uuid(), 'collection_id', '00000000-0000-7000-8000-000000000001'))).*"
        " FROM report_data_weeks w WHERE segment_number = 1 LIMIT 1",
        Difference(removed=2),
    ),
    ("DELETE FROM report_data_weeks WHERE segment_number = 2", Difference(added=2)),
    ("DELETE FROM report_data_weeks; DELETE FROM report_data_collections", Difference(added=10)),
    ("DELETE FROM workflows; DELETE FROM amc_instances", Difference(added=2)),
    ("UPDATE report_data_weeks SET row_count = 999 WHERE status = 'completed'", Difference(changed=2)),
    ("UPDATE report_data_weeks SET error = 'planted' WHERE segment_number = 5", Difference(changed=1)),
    (
        'UPDATE report_data_collections SET segments_completed = 0, lookback_config = \'{"type": "custom"}\'',
        Difference(changed=2),
    ),
    ("UPDATE report_data_collections SET segmentation_config = NULL", Difference(changed=2)),
    ("UPDATE workflows SET sql_query = 'SELECT 2'", Difference(changed=1)),
    (
        "UPDATE report_data_weeks SET segment_number = 3 - segment_number WHERE segment_number < 3",
        Difference(changed=4),
    ),
    (
        "UPDATE report_data_weeks SET segment_id = gen_random_uuid() WHERE segment_number = 4",
        Difference(removed=1, added=1),
    ),
]


async def test_a_rebuild_puts_right_what_no_event_explains(
    database: Database, pool: Pool, admin: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    """One damage after the other: after each, the tables are as before it."""
    before = await table_rows(pool)
    for damage, difference in DAMAGES:
        head = await read_head(pool)
        await admin.execute(damage)
        assert await table_rows(pool) != before
        assert await found(database) == (head, difference), damage
        assert await table_rows(pool) == before
    told = [(event.rows_removed, event.rows_added, event.rows_changed) for event in await rebuilt_events(pool)]
    assert told == [(each.removed, each.added, each.changed) for _, each in DAMAGES]


async def test_a_rebuild_applies_what_the_projector_has_not_and_the_projector_goes_on_from_there(
    database: Database, pool: Pool, log: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    head = await record(log, "workflow-w2", workflow("Another"))
    assert await found(database) == (head, Difference(added=1))
    assert await read_checkpoint(pool) == head
    await record(log, "workflow-w3", workflow("A third"))
    await project(pool)
    assert await pool.fetchval("SELECT count(*) FROM workflows") == 3
    assert (await rebuild(database.service_url)).difference == Difference()


async def test_a_rebuild_spans_many_batches(database: Database, pool: Pool, log: asyncpg.Connection[Any]) -> None:
    collection_id, segment_ids = await record_collection(log, 60)
    for segment_id in segment_ids:
        noise = [note() for _ in range(70)]
        await append(log, request("report-1", *noise))
        await record_moves(log, collection_id, segment_id, *MOVES)
    await project(pool)
    before, head = await table_rows(pool), await read_head(pool)
    assert head > 2 * reader.PACK
    assert await found(database) == (head, Difference())
    assert await table_rows(pool) == before


async def test_a_rebuild_while_events_are_appended_and_projected_loses_none(
    database: Database, pool: Pool, log: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    """And readers see the whole of each collection all the time, though the rows are planted and damaged."""
    stopping = asyncio.Event()
    others = await open_pool(database.service_url)

    async def write() -> int:
        count = 0
        while not stopping.is_set():
            collection_id, made = await record_collection(log, 4)
            for segment_id in made:
                await record_moves(log, collection_id, segment_id, *MOVES[: count % 6 or 1])
            count += 1
        return count

    async def keep_projecting() -> None:
        while not stopping.is_set():
            await project_batch(others)
            await asyncio.sleep(0)

    async def keep_reading() -> int:
        reads = 0
        halves = (
            "SELECT count(*) AS collections, (SELECT count(*) FROM workflows) AS workflows,"
            "       (SELECT count(*) FROM amc_instances) AS instances,"
            "       (SELECT count(*) FROM report_data_weeks) AS segments, sum(segments_total) AS planned"
            "  FROM report_data_collections"
        )
        most = 0
        while not stopping.is_set():
            row = await others.fetchrow(halves)
            assert row is not None
            assert (row["workflows"], row["instances"]) == (1, 1)
            assert row["segments"] == row["planned"]
            assert row["collections"] >= max(most, 2)
            most = row["collections"]
            reads += 1
        return reads

    writing, reading = asyncio.create_task(write()), asyncio.create_task(keep_reading())
    projecting = asyncio.create_task(keep_projecting())
    await asyncio.sleep(0.2)
    for _ in range(3):
        await others.execute("UPDATE report_data_weeks SET error = 'planted' WHERE segment_id = $1", segment_ids[4])
        difference = (await rebuild(database.service_url)).difference
        assert (difference.removed, difference.changed >= 1) == (0, True)
    stopping.set()
    async with asyncio.timeout(20):
        written, reads = await writing, await reading
        await projecting
    assert written > 5
    assert reads > 5
    await project(pool)
    before = await table_rows(pool)
    assert await pool.fetchval("SELECT count(*) FROM report_data_collections") == 2 + written
    assert (await rebuild(database.service_url)).difference == Difference()
    assert await table_rows(pool) == before
    await others.close()


@pytest.mark.parametrize("lock", ["the checkpoint", "a row that is to be changed"])
async def test_a_rebuild_that_is_killed_changes_nothing_and_the_next_one_goes_on_from_there(
    database: Database, pool: Pool, admin: asyncpg.Connection[Any], segment_ids: list[UUID], lock: str
) -> None:
    whole, head = await table_rows(pool), await read_head(pool)
    await admin.execute("UPDATE report_data_weeks SET error = 'planted' WHERE segment_id = $1", segment_ids[0])
    await admin.execute("DELETE FROM workflows")
    damaged = await table_rows(pool)
    async with admin.transaction():
        if lock == "the checkpoint":
            await admin.execute("SELECT FROM projection_checkpoints FOR UPDATE")
        else:
            # Segments are put right last: by then the workflow is back, not committed.
            await admin.execute("SELECT FROM report_data_weeks WHERE segment_id = $1 FOR UPDATE", segment_ids[0])
        rebuilding = asyncio.create_task(rebuild(database.service_url))
        pid = await blocked_backend(admin)
        assert await table_rows(pool) == damaged
        assert await admin.fetchval("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
            await rebuilding
    assert await table_rows(pool) == damaged
    assert await read_checkpoint(pool) == await read_head(pool) == head

    rebuilt = await rebuild(database.service_url)
    assert rebuilt == Rebuilt(head, Difference(added=1, changed=1), rebuilt.digest, resumed_from=head)
    assert await table_rows(pool) == whole
    assert (await rebuild(database.service_url)).resumed_from == 0


class Killed(Exception):
    pass


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(database.service_url)
    yield pool
    await pool.close()


async def test_a_rebuild_that_is_killed_while_it_builds_goes_on_from_the_last_span_that_it_kept(
    database: Database, pool: Pool, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again, with hardly any rows in memory; what comes out is what the projector makes."""
    monkeypatch.setattr(reader, "PACK", 150)
    monkeypatch.setattr(scratch, "SPAN", 400)
    monkeypatch.setattr(scratch, "MAX_ROWS", 50)
    events = 6000
    await fill_history(database, events)
    resumed: list[int] = []

    def die(done: int, total: int) -> None:
        if done - resumed[-1] > 1000:
            raise Killed

    for _ in range(5):
        async with open_scratch(database.service_url) as kept:
            resumed.append(kept.position)
        with pytest.raises(Killed):
            await rebuild(database.service_url, progress=die)
        assert not any((await table_rows(pool)).values())
    rebuilt = await rebuild(database.service_url)
    resumed.append(rebuilt.resumed_from)
    assert resumed[0] == 0
    assert all(800 < later - earlier <= 1200 for earlier, later in pairwise(resumed)), resumed
    assert rebuilt.position == events
    async with postgres_server.fresh_database() as other, connected(other) as others:
        await fill_history(other, events)
        await project(others)
        assert await table_rows(pool) == await table_rows(others)


async def test_a_rebuild_begins_anew_where_other_code_has_begun_it(
    database: Database, pool: Pool, segment_ids: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_scratch(database.service_url) as begun:
        await begun.build(read_head, no_progress)
        assert begun.position == await read_head(pool)
    monkeypatch.setattr(scratch, "_code", lambda: "of another release")
    async with open_scratch(database.service_url) as kept:
        assert kept.position == 0
        assert await kept.connection.fetchval("SELECT count(*) FROM report_builder_rebuild.report_data_weeks") == 0


async def test_two_rebuilds_at_once_are_one_too_many(database: Database, pool: Pool) -> None:
    async with open_scratch(database.service_url):
        for work in (rebuild, verify):
            with pytest.raises(RebuildRunning, match="another rebuild or verification is at work"):
                await work(database.service_url)
    assert (await rebuild(database.service_url)).position == 0


async def test_the_service_may_not_change_the_schema_of_rebuilds_but_by_its_functions(
    log: asyncpg.Connection[Any],
) -> None:
    for statement in (
        "CREATE TABLE report_builder_rebuild.another (one int)",
        "DROP TABLE report_builder_rebuild.rebuild_progress",
        "DROP SCHEMA report_builder_rebuild",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await log.execute(statement)


PLANTED = UUID("00000000-0000-7000-8000-000000000001")
FINDINGS = [
    (
        "INSERT INTO report_data_weeks SELECT (jsonb_populate_record(w, jsonb_build_object("
        f"'segment_id', '{PLANTED}', 'segment_number', 77))).* FROM report_data_weeks w LIMIT 1",
        {"report_data_weeks": Difference(removed=1)},
        ("report_data_weeks", None, True, False),
    ),
    (
        "DELETE FROM workflows",
        {"workflows": Difference(added=1)},
        ("workflows", None, False, True),
    ),
    (
        "UPDATE report_data_weeks SET error = 'planted', attempts = 7 WHERE segment_number = 5",
        {"report_data_weeks": Difference(changed=1)},
        ("report_data_weeks", "attempts", 7, 0),
    ),
    (
        "UPDATE report_data_collections SET segments_completed = 0;UPDATE amc_instances SET max_concurrent = 11",
        {"amc_instances": Difference(changed=1), "report_data_collections": Difference(changed=1)},
        ("amc_instances", "max_concurrent", 11, 10),
    ),
]


async def test_verify_names_the_first_row_that_differs_and_changes_nothing(
    database: Database, pool: Pool, admin: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    head = await read_head(pool)
    sound = await verify(database.service_url)
    assert sound == Verified(head, sound.digest, {}, None)
    for damage, differences, (table, column, live, events) in FINDINGS:
        await admin.execute(damage)
        damaged = await table_rows(pool)
        verified = await verify(database.service_url)
        assert (verified.position, verified.differences) == (head, differences)
        first = verified.first
        assert first is not None
        if column is None:
            assert (first.table, first.column) == (table, None)
            assert (first.live is not None, first.events is not None) == (live, events)
        else:
            assert first == DifferingRow(table, first.key, column, live, events)
        assert await table_rows(pool) == damaged
        assert verified.digest != sound.digest
        rebuilt = await rebuild(database.service_url)
        assert rebuilt.digest == sound.digest
        head = rebuilt.position
    assert await pool.fetchval("SELECT count(*) FROM report_builder_rebuild.rebuild_progress") == 0


async def test_verify_names_the_row_with_the_lowest_key(
    database: Database, pool: Pool, admin: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    lowest = await pool.fetchrow(
        "SELECT segment_id::text AS id, row_count FROM report_data_weeks ORDER BY segment_id LIMIT 1"
    )
    assert lowest is not None
    await admin.execute("UPDATE report_data_weeks SET row_count = 99")
    first = (await verify(database.service_url)).first
    assert first == DifferingRow("report_data_weeks", lowest["id"], "row_count", 99, lowest["row_count"])


@pytest.mark.parametrize("work", [verify, rebuild])
async def test_a_log_whose_end_is_gone_is_told(
    database: Database, pool: Pool, admin: asyncpg.Connection[Any], segment_ids: list[UUID], work: Any
) -> None:
    head = await read_head(pool)
    await admin.execute(
        f"ALTER TABLE report_builder_audit DISABLE TRIGGER ALL;DELETE FROM report_builder_audit WHERE position = {head}"
    )
    with pytest.raises(LogDamaged, match=f"ends at position {head - 1}, but the read models have applied .* {head}"):
        await work(database.service_url)


async def test_verify_makes_nobody_wait_and_looks_at_one_moment_though_all_goes_on(
    database: Database,
    pool: Pool,
    log: asyncpg.Connection[Any],
    admin: asyncpg.Connection[Any],
    segment_ids: list[UUID],
) -> None:
    async with admin.transaction():
        await admin.execute("SELECT FROM projection_checkpoints FOR UPDATE")
        assert (await verify(database.service_url)).differences == {}
    stopping = asyncio.Event()

    async def write() -> None:
        while not stopping.is_set():
            collection_id, made = await record_collection(log, 4)
            await record_moves(log, collection_id, made[0], *MOVES)
            await project_batch(pool)

    writing = asyncio.create_task(write())
    for _ in range(3):
        assert (await verify(database.service_url)).differences == {}
    stopping.set()
    await writing
    # What the projector has not come to is no difference.
    await record(log, "workflow-w2", workflow())
    assert (await verify(database.service_url)).differences == {}


async def test_readers_wait_for_nothing_while_a_rebuild_holds_its_locks(
    database: Database, pool: Pool, admin: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    await admin.execute("UPDATE report_data_weeks SET error = 'planted' WHERE segment_id = $1", segment_ids[0])
    await admin.execute("DELETE FROM workflows")
    async with admin.transaction():
        await admin.execute("SELECT FROM report_data_weeks WHERE segment_id = $1 FOR UPDATE", segment_ids[0])
        rebuilding = asyncio.create_task(rebuild(database.service_url))
        await blocked_backend(admin)
        async with asyncio.timeout(10), pool.acquire() as reader:
            assert len((await table_rows(reader))["report_data_weeks"]) == 8
            assert await reader.fetchval("SELECT count(*) FROM workflows") == 0
            # Nor does the log wait for it.
            await append(reader, request("report-1"))
    assert (await rebuilding).difference == Difference(added=1, changed=1)


async def test_a_rebuild_stops_where_the_projection_would(
    database: Database, pool: Pool, log: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    before = await table_rows(pool)
    lost = collection(1).segments[0].segment_id
    await record(log, f"segment-{lost}", segment_event("admit", new_id()))
    with pytest.raises(Exception, match=f"report_data_weeks has no {lost}"):
        await rebuild(database.service_url)
    assert await table_rows(pool) == before
    assert await rebuilt_events(pool) == []


async def test_the_activity_of_people_is_the_same_before_and_after_and_knows_their_workflow(
    database: Database, pool: Pool, log: asyncpg.Connection[Any], segment_ids: list[UUID]
) -> None:
    person = new_id()
    step = note("Reach", user_id=person, workflow_id="w1", step_completed="submit")
    position = (await append(log, request("report-7", step)))[0].first_position  # type: ignore[union-attr]
    activity = "SELECT * FROM report_builder_activity WHERE position <= $1 ORDER BY position"
    before = await pool.fetch(activity, position)
    await rebuild(database.service_url)
    after = await pool.fetch(activity, position)
    assert after == before
    assert len(after) == position
    last = after[-1]
    assert (last["user_id"], last["step_completed"]) == (person, "submit")
    assert (last["entity"], last["entity_id"]) == ("report", "7")
    assert (last["workflow_id"], last["workflow_name"]) == ("w1", "Reach by campaign")
    assert last["workflow_sql"] == workflow().sql_query
    assert msgspec.json.decode(last["configuration"])["projection"] == "Reach"
    assert after[1]["workflow_name"] is None  # an event that is about no workflow is there too


async def test_a_rebuild_gives_changed_and_archived_workflows_as_they_were(
    database: Database, pool: Pool, log: asyncpg.Connection[Any]
) -> None:
    await record(log, "workflow-w1", workflow(), WorkflowChanged("Better", "SELECT 2"), WorkflowArchived())
    await record(log, "workflow-w2", workflow(), WorkflowArchived(), WorkflowUnarchived())
    await project(pool)
    before = await table_rows(pool)
    difference = (await rebuild(database.service_url)).difference
    assert difference == Difference()
    assert await table_rows(pool) == before


async def test_the_migration_that_reads_again_covers_every_read_model(
    database: Database, pool: Pool, segment_ids: list[UUID], admin: asyncpg.Connection[Any]
) -> None:
    before = await table_rows(pool)
    head = await read_checkpoint(pool)
    await admin.execute("DELETE FROM schema_migrations WHERE name = 'read_again'")
    await migrate_up(database.admin_url, service_url=database.service_url)
    assert await read_checkpoint(pool) == 0
    for table in TABLES:
        assert await pool.fetchval(f"SELECT count(*) FROM {table.name}") == 0, table.name
    await project(pool)
    assert (await read_checkpoint(pool), await table_rows(pool)) == (head, before)
