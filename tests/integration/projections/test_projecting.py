"""Projecting: each event counts exactly once, whoever applies it and wherever that is killed; none is skipped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from db.pool import Pool, open_pool
from events.envelope import NewEvent, new_id, stream_of
from events.feed import Feed
from events.reader import read_head
from events.registry import UnknownEvent
from events.types.account import AccountConnected, AccountDisconnected, AccountReconnected, AccountRevoked
from events.types.collection import CollectionFinished
from events.types.instance import InstanceChanged, InstanceGranted, InstanceGrantRevoked
from events.types.workflow import DeclaredParameter, WorkflowArchived, WorkflowChanged, WorkflowUnarchived
from projections.runner import CannotApply, Projector, project_batch, read_checkpoint, wait_projected
from tests.postgres import Database
from tests.recording import (
    FIRST_DAY,
    MOVES,
    RETRY_AT,
    STATE_AFTER,
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


@pytest.fixture
async def log(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that appends."""
    connection = await asyncpg.connect(database.service_url)
    yield connection
    await connection.close()


async def project(pool: Pool, *, limit: int = 500) -> None:
    while (await project_batch(pool, limit))[1]:
        pass


async def row_of(pool: Pool, table: str, key: str, value: object) -> dict[str, Any]:
    row = await pool.fetchrow(f"SELECT * FROM {table} WHERE {key} = $1", value)
    assert row is not None
    return dict(row)


async def collection_row(pool: Pool, collection_id: UUID) -> dict[str, Any]:
    return await row_of(pool, "report_data_collections", "collection_id", collection_id)


async def segment_row(pool: Pool, segment_id: UUID) -> dict[str, Any]:
    return await row_of(pool, "report_data_weeks", "segment_id", segment_id)


RECOUNT = """
SELECT c.collection_id
  FROM report_data_collections c
 CROSS JOIN LATERAL (
   SELECT count(*) AS total,
          count(*) FILTER (WHERE status IN ('dispatched', 'submitted', 'running')) AS active,
          count(*) FILTER (WHERE status = 'waiting') AS waiting,
          count(*) FILTER (WHERE status = 'completed') AS completed,
          count(*) FILTER (WHERE status = 'failed') AS failed,
          coalesce(sum(row_count), 0) AS rows
     FROM report_data_weeks w WHERE w.collection_id = c.collection_id) s
 WHERE (c.segments_total, c.segments_active, c.segments_waiting, c.segments_completed, c.segments_failed,
        c.segments_cancelled, c.segments_skipped, c.row_count)
       IS DISTINCT FROM (s.total, s.active, s.waiting, s.completed, s.failed, 0, 0, s.rows)
"""


async def test_workflows_and_instances_become_rows(log: asyncpg.Connection[Any], pool: Pool) -> None:
    person = new_id()
    await append(log, request("workflow-w1", NewEvent(data=workflow(), team_id="team-1", user_id=person)))
    await record(log, "instance-amc1", instance())
    await project(pool)
    row = await row_of(pool, "workflows", "workflow_id", "w1")
    assert (row["team_id"], row["user_id"], row["name"], row["stream_version"]) == (
        "team-1",
        person,
        "Reach by campaign",
        1,
    )
    assert (row["sql_query"], row["parameters"]) == (workflow().sql_query, "[]")
    row = await row_of(pool, "amc_instances", "instance_id", "amc1")
    assert (row["name"], row["time_zone"], row["max_concurrent"], row["retention_days"]) == (
        "Sandbox",
        "America/New_York",
        10,
        425,
    )


async def test_an_instance_changes_and_is_granted_and_taken_back(log: asyncpg.Connection[Any], pool: Pool) -> None:
    await record(log, "instance-amc1", instance())
    changed = InstanceChanged(
        name="Main", max_concurrent=4, retention_days=60, final_after_days=7, max_executions_per_day=30
    )
    await record(log, "instance-amc1", changed, *(InstanceGranted(team) for team in ("b", "c")))
    await project(pool)
    row = await row_of(pool, "amc_instances", "instance_id", "amc1")
    assert {name: row[name] for name in msgspec.structs.asdict(changed)} == msgspec.structs.asdict(changed)
    assert (row["account_id"], row["time_zone"], row["stream_version"]) == ("default", "America/New_York", 4)

    await record(log, "instance-amc1", InstanceGrantRevoked("b"), InstanceGrantRevoked("c"), InstanceGranted("c"))
    await project(pool)
    rows = await pool.fetch("SELECT instance_id, team_id, revoked_at IS NULL AS holds FROM instance_grants ORDER BY 2")
    assert [tuple(row) for row in rows] == [("amc1", "b", False), ("amc1", "c", True)]
    assert (await row_of(pool, "amc_instances", "instance_id", "amc1"))["stream_version"] == 7


async def test_an_account_becomes_a_row_that_says_how_it_stands(log: asyncpg.Connection[Any], pool: Pool) -> None:
    connected = AccountConnected(
        name="Brand", region="EU", base_url="https://a", token_url="https://t", client_id="c", credential_id=new_id()
    )
    steps: list[tuple[msgspec.Struct, tuple[Any, ...]]] = [
        (connected, ("connected", None, None, "c")),
        (AccountRevoked("refused", "invalid_grant"), ("reconnect", "refused", "invalid_grant", "c")),
        (AccountReconnected(client_id="d", credential_id=new_id()), ("connected", None, None, "d")),
        (AccountDisconnected(), ("disconnected", None, None, "d")),
    ]
    for version, (event, expected) in enumerate(steps, 1):
        await record(log, "account-a", event)
        await project(pool)
        row = await row_of(pool, "amc_account_states", "account_id", "a")
        assert (row["status"], row["cause"], row["error"], row["client_id"]) == expected
        assert (row["name"], row["region"], row["stream_version"]) == ("Brand", "EU", version)

    await record(log, "account-default", AccountRevoked("unreadable", "not set"))
    await project(pool)
    row = await row_of(pool, "amc_account_states", "account_id", "default")
    assert (row["status"], row["name"], row["base_url"], row["client_id"]) == ("reconnect", "default", None, None)


async def test_a_released_segment_stands_as_before_its_attempt(log: asyncpg.Connection[Any], pool: Pool) -> None:
    collection_id, (segment_id,) = await record_collection(log, 1)
    await record_moves(log, collection_id, segment_id, "admit", "release")
    await project(pool)
    segment, whole = await segment_row(pool, segment_id), await collection_row(pool, collection_id)
    assert (segment["status"], segment["attempts"], segment["dispatched_at"]) == ("pending", 0, None)
    assert (whole["segments_active"], whole["backfill_status"]) == (0, "in_progress")


async def test_a_collection_becomes_one_row_and_one_for_each_segment(log: asyncpg.Connection[Any], pool: Pool) -> None:
    collection_id, segment_ids = await record_collection(log, 3)
    await project(pool)
    row = await collection_row(pool, collection_id)
    assert (row["backfill_status"], row["segments_total"], row["segments_active"]) == ("pending", 3, 0)
    assert (row["lookback_config"], row["lane"], row["workflow_id"]) == (
        '{"type": "relative", "unit": "weeks", "align": "trailing", "value": 3, "weekStart": null, "dataDelayDays": 0}',
        "bulk",
        "w1",
    )
    assert (row["started_at"], row["finished_at"], row["max_attempts"]) == (None, None, 5)
    rows = await pool.fetch("SELECT * FROM report_data_weeks ORDER BY segment_number")
    assert [row["segment_id"] for row in rows] == segment_ids
    assert [row["segment_number"] for row in rows] == [1, 2, 3]
    assert (rows[0]["week_start"], rows[-1]["week_end"]) == (FIRST_DAY, FIRST_DAY.replace(day=26))
    assert {row["status"] for row in rows} == {"pending"}
    assert not await pool.fetch(RECOUNT)


async def test_a_collection_without_segments_is_complete(log: asyncpg.Connection[Any], pool: Pool) -> None:
    collection_id, _ = await record_collection(log, 0)
    await project(pool)
    assert (await collection_row(pool, collection_id))["backfill_status"] == "completed"


async def test_a_segment_goes_from_state_to_state(log: asyncpg.Connection[Any], pool: Pool) -> None:
    collection_id, (segment_id,) = await record_collection(log, 1)
    expected: list[tuple[Move, dict[str, Any], dict[str, Any]]] = [
        (
            "admit",
            {"status": "dispatched", "attempts": 1},
            {"segments_active": 1, "backfill_status": "in_progress"},
        ),
        ("intend", {"status": "dispatched", "amc_execution_id": None}, {"segments_active": 1}),
        ("submit", {"status": "submitted", "amc_execution_id": "execution-1"}, {"segments_active": 1}),
        ("start", {"status": "running"}, {"segments_active": 1}),
        ("resend", {"status": "running", "amc_execution_id": "execution-1"}, {"segments_active": 1}),
        ("retry", {"status": "waiting", "error": "503", "retry_at": RETRY_AT}, {"segments_waiting": 1}),
        ("admit", {"status": "dispatched", "amc_execution_id": None, "retry_at": None}, {"segments_active": 1}),
        ("submit", {"status": "submitted"}, {"segments_active": 1, "segments_waiting": 0}),
        (
            "fail",
            {"status": "failed", "error": "no such column"},
            {"segments_failed": 1, "backfill_status": "failed"},
        ),
        ("admit", {"status": "dispatched", "finished_at": None}, {"backfill_status": "in_progress"}),
        ("execute", {"status": "running"}, {"segments_active": 1, "segments_failed": 0}),
        (
            "complete",
            {"status": "completed", "row_count": 7, "result_bytes": 70, "checksum": "c0ffee", "error": None},
            {"segments_completed": 1, "segments_active": 0, "row_count": 7, "backfill_status": "completed"},
        ),
    ]
    for version, (move, segment, whole) in enumerate(expected, 1):
        await record_moves(log, collection_id, segment_id, move)
        await project(pool)
        segment_now, whole_now = await segment_row(pool, segment_id), await collection_row(pool, collection_id)
        assert {name: segment_now[name] for name in segment} == segment, move
        assert {name: whole_now[name] for name in whole} == whole, move
        assert segment_now["stream_version"] == version
        assert (segment_now["finished_at"] is not None) == (segment_now["status"] in ("completed", "failed"))


async def test_the_status_of_a_backfill_follows_from_its_segments(log: asyncpg.Connection[Any], pool: Pool) -> None:
    moves: dict[str, tuple[Move, ...]] = {
        "p": (),
        "a": ("admit",),
        "w": ("admit", "retry"),
        "c": ("admit", "submit", "complete"),
        "f": ("admit", "fail"),
    }
    statuses = {
        "pp": "pending",
        "pa": "in_progress",
        "pw": "in_progress",
        "pc": "in_progress",
        "pf": "in_progress",
        "fa": "in_progress",
        "cc": "completed",
        "cf": "partial",
        "ff": "failed",
    }
    for ends, status in statuses.items():
        collection_id, segment_ids = await record_collection(log, len(ends))
        for segment_id, end in zip(segment_ids, ends, strict=True):
            if moves[end]:
                await record_moves(log, collection_id, segment_id, *moves[end])
        await project(pool)
        assert (await collection_row(pool, collection_id))["backfill_status"] == status, ends
    assert not await pool.fetch(RECOUNT)


async def test_a_collection_that_is_finished_says_when(log: asyncpg.Connection[Any], pool: Pool) -> None:
    collection_id, (segment_id,) = await record_collection(log, 1)
    await record_moves(log, collection_id, segment_id, "admit", "fail")
    await record(log, stream_of("collection", collection_id), CollectionFinished("failed", 1, 0, 1, 0))
    await project(pool)
    row = await collection_row(pool, collection_id)
    assert row["finished_at"] == row["updated_at"]
    assert row["stream_version"] == 2


def expected_status(states: list[str], dispatched: bool) -> str:
    """The table of the contract, from the segments' states alone."""
    if all(state == "completed" for state in states):
        return "completed"
    if all(state in ("completed", "failed") for state in states):
        return "partial" if "completed" in states else "failed"
    return "in_progress" if dispatched else "pending"


async def test_any_sequence_of_events_in_any_batches_gives_the_same_rows_as_a_recount(
    log: asyncpg.Connection[Any], pool: Pool
) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        collection_id, segment_ids = await record_collection(log, chance.randint(1, 6))
        states, rows, attempts = dict.fromkeys(segment_ids, "pending"), dict.fromkeys(segment_ids, 0), 0
        for _ in range(chance.randint(0, 60)):
            movable = [segment_id for segment_id in segment_ids if MOVES[states[segment_id]]]
            if not movable:
                break
            segment_id = chance.choice(movable)
            move = chance.choice(MOVES[states[segment_id]])
            attempts += move == "admit"
            made = segment_event(move, collection_id, attempt=attempts, rows=chance.randint(0, 999))
            await record(log, stream_of("segment", segment_id), made)
            rows[segment_id] += getattr(made, "rows", 0)
            states[segment_id] = STATE_AFTER.get(move, states[segment_id])
            if chance.random() < 0.1:
                await project(pool, limit=chance.randint(1, 20))
        await project(pool, limit=chance.randint(1, 20))
        found = {
            row["segment_id"]: row["status"]
            for row in await pool.fetch("SELECT * FROM report_data_weeks WHERE collection_id = $1", collection_id)
        }
        assert found == states
        row = await collection_row(pool, collection_id)
        assert row["backfill_status"] == expected_status(list(states.values()), attempts > 0), seed
        assert row["row_count"] == sum(rows.values())
        assert not await pool.fetch(RECOUNT), seed
    assert await read_checkpoint(pool) == await read_head(pool)


async def test_two_projectors_at_once_apply_each_event_once(
    log: asyncpg.Connection[Any], pool: Pool, database: Database
) -> None:
    collection_id, segment_ids = await record_collection(log, 40)
    other = await open_pool(database.service_url)
    appended = asyncio.Event()

    async def keep_projecting(pool: Pool) -> int:
        applied = 0
        while True:
            done = appended.is_set()
            count = (await project_batch(pool, 7))[1]
            applied += count
            if done and not count:
                return applied

    projectors = [asyncio.create_task(keep_projecting(each)) for each in (pool, other)]
    for segment_id in segment_ids:
        await record_moves(log, collection_id, segment_id, "admit", "submit", "start", "execute", "complete")
    appended.set()
    counts = await asyncio.gather(*projectors)
    assert sum(counts) == await read_head(pool) == 1 + 5 * 40
    assert all(counts)
    assert not await pool.fetch(RECOUNT)
    assert (await collection_row(pool, collection_id))["row_count"] == 7 * 40
    await other.close()


async def test_a_projector_that_is_killed_between_apply_and_commit_leaves_nothing(
    log: asyncpg.Connection[Any], pool: Pool, database: Database
) -> None:
    collection_id, (segment_id, _) = await record_collection(log, 2)
    await project(pool)
    before, checkpoint = await table_rows(log), await read_checkpoint(pool)
    await record_moves(log, collection_id, segment_id, "admit", "submit", "complete")

    admin = await asyncpg.connect(database.admin_url)
    async with admin.transaction():
        # Segments are written last: the collection's new counters are in the table by then, not committed.
        await admin.execute("SELECT FROM report_data_weeks WHERE segment_id = $1 FOR UPDATE", segment_id)
        projecting = asyncio.create_task(project_batch(pool))
        assert await admin.fetchval("SELECT pg_terminate_backend($1)", await blocked_backend(admin))
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await projecting
    await admin.close()
    assert await table_rows(log) == before
    assert await read_checkpoint(pool) == checkpoint

    await project(pool)
    row = await collection_row(pool, collection_id)
    assert (row["segments_completed"], row["row_count"]) == (1, 7)
    assert not await pool.fetch(RECOUNT)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pg_temp.made SET event_type = 'report.forgotten'",
        "UPDATE pg_temp.made SET schema_version = 2",
        "UPDATE pg_temp.made SET configuration = '{}'",
    ],
    ids=["unknown type", "unknown version", "a body that does not fit"],
)
async def test_an_event_that_cannot_be_read_stops_the_projection_before_it(
    log: asyncpg.Connection[Any], pool: Pool, database: Database, statement: str
) -> None:
    await record(log, "workflow-w1", workflow())
    await append(log, request("report-1"))
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute(
        "CREATE TEMPORARY TABLE made AS SELECT * FROM report_builder_audit WHERE position = 2;"
        "UPDATE made SET position = 3, stream_version = 2, id = gen_random_uuid();"
        f"{statement}; INSERT INTO report_builder_audit SELECT * FROM made"
    )
    await admin.close()
    await record(log, "workflow-w2", workflow())
    with pytest.raises(CannotApply, match=r"^position 3 \(") as refused:
        await project_batch(pool)
    assert isinstance(
        refused.value.cause, UnknownEvent if "configuration" not in statement else msgspec.ValidationError
    )
    assert await read_checkpoint(pool) == 0
    # Up to the event, and no further.
    assert await project_batch(pool, 2) == (2, 2)
    for _ in range(2):
        with pytest.raises(Exception, match=r"not known to this release|missing required field"):
            await project_batch(pool)
    assert await read_checkpoint(pool) == 2
    assert await pool.fetchval("SELECT count(*) FROM workflows") == 1


async def test_a_projector_says_what_stopped_it_and_goes_on_once_that_is_gone(
    log: asyncpg.Connection[Any], pool: Pool, database: Database
) -> None:
    feed = Feed(pool)
    await feed.start()
    feeding = asyncio.create_task(feed.run())
    projector = Projector(pool, feed)
    running = asyncio.create_task(projector.run())
    position = await record(log, "workflow-w1", workflow())
    assert await wait_projected(pool, position)
    assert projector.stopped_by is None

    # A segment of a collection that no event has made.
    lost = collection(1).segments[0].segment_id
    stopped_at = await record_moves(log, new_id(), lost, "admit")
    await record(log, "workflow-w2", workflow())
    feed.appended(stopped_at)
    async with asyncio.timeout(5):
        while projector.stopped_by is None:
            await asyncio.sleep(0.02)
    assert projector.stopped_by == f"position {stopped_at}: ProjectionError: report_data_weeks has no {lost}"
    assert not await wait_projected(pool, stopped_at, timeout=0.1)
    assert await read_checkpoint(pool) == stopped_at - 1

    admin = await asyncpg.connect(database.admin_url)
    await admin.execute(
        "ALTER TABLE report_builder_audit DISABLE TRIGGER ALL;"
        "UPDATE report_builder_audit SET event_type = 'report.created', configuration = '{\"name\": \"x\"}'"
        f" WHERE position = {stopped_at}"
    )
    await admin.close()
    assert await wait_projected(pool, stopped_at + 1)
    assert projector.stopped_by is None
    for task in (running, feeding):
        task.cancel()
    await asyncio.gather(running, feeding, return_exceptions=True)


async def test_what_a_projection_needs_not_is_passed_over(log: asyncpg.Connection[Any], pool: Pool) -> None:
    await append(log, request("report-1", *(note() for _ in range(1200))))
    position = await record(log, "workflow-w1", workflow())
    await project(pool)
    assert await read_checkpoint(pool) == position
    assert await project_batch(pool) == (position, 0)


async def test_the_same_workflow_twice_is_refused(log: asyncpg.Connection[Any], pool: Pool) -> None:
    await record(log, "workflow-w1", workflow(), workflow())
    with pytest.raises(Exception, match="workflows already has w1"):
        await project_batch(pool)
    assert await pool.fetchval("SELECT count(*) FROM workflows") == 0


@pytest.mark.parametrize("limit", [1, 2, 500])
async def test_a_workflow_shows_its_newest_version_and_who_made_it(
    pool: Pool, log: asyncpg.Connection[Any], limit: int
) -> None:
    """Whether its events come in one batch or in several."""
    stream, author, editor = "workflow-w1", new_id(), new_id()
    parameters = (DeclaredParameter("asins", "ARRAY"),)
    steps: list[tuple[UUID, msgspec.Struct]] = [
        (author, workflow("First")),
        (editor, WorkflowChanged("Second", "SELECT 2", parameters)),
        (author, WorkflowArchived()),
        (editor, WorkflowUnarchived()),
        (author, WorkflowArchived()),
    ]
    seen = []
    for user, data in steps:
        await append(log, request(stream, NewEvent(data=data, team_id="t", user_id=user)))
        if limit == 1:
            await project(pool, limit=limit)
            row = await row_of(pool, "workflows", "workflow_id", "w1")
            seen.append((row["name"], row["archived"], row["updated_by"], row["stream_version"]))
    await project(pool, limit=limit)
    row = await row_of(pool, "workflows", "workflow_id", "w1")
    assert (row["name"], row["sql_query"], row["archived"], row["stream_version"]) == ("Second", "SELECT 2", True, 5)
    assert (row["user_id"], row["updated_by"]) == (author, author)
    assert row["created_at"] < row["updated_at"]
    assert msgspec.json.decode(row["parameters"]) == [
        {"name": "asins", "data_type": {"type": "ARRAY", "elementDataType": "STRING"}}
    ]
    if limit == 1:
        assert seen == [
            ("First", False, author, 1),
            ("Second", False, editor, 2),
            ("Second", True, author, 3),
            ("Second", False, editor, 4),
            ("Second", True, author, 5),
        ]


async def test_a_change_of_a_workflow_that_no_event_has_made_stops_the_projection(
    pool: Pool, log: asyncpg.Connection[Any]
) -> None:
    await record(log, "workflow-w1", WorkflowArchived())
    with pytest.raises(CannotApply, match="workflows has no w1"):
        await project_batch(pool)
