"""Each hot query uses the index that is there for it, on tables of the size of a busy year."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from events.envelope import new_id
from events.reader import COLUMNS, OF_STREAMS
from service.audit.export import HEADS
from service.audit.summary import REPORTS
from service.auth.caller import LOCAL
from service.backfill.admission import FAILING
from service.data_collections.routes import ListCollections, list_statement, segments_statement
from service.persons.keys import _CURRENT
from service.schedules.scheduler import CALLED_FOR as _CALLED_FOR
from tests.postgres import Database, Server

COLLECTIONS, SEGMENTS_EACH = 1000, 100

# A thousand collections of a hundred weeks, five of them unfinished; a log of as many events; schedules.
FILL = f"""
INSERT INTO amc_instances
SELECT 'amc' || n, 'team-' || n % 20, 'Instance', 'E', 'M', 'UTC', 10, 425, 1, now(), now()
  FROM generate_series(0, 19) n;
UPDATE amc_instances SET account_id = instance_id;
INSERT INTO report_data_collections
SELECT md5('c' || n)::uuid, 'team-' || n % 20, md5('u' || n % 50)::uuid, NULL, 'w1', 'amc' || n % 20, 'History',
       'bulk',
       json_build_object('type', CASE WHEN n % 100 = 7 THEN 'custom' ELSE 'relative' END, 'unit', 'weeks',
                         'value', n % 400)::jsonb,
       json_build_object('type', CASE WHEN n % 100 = 8 THEN 'monthly' ELSE 'weekly' END, 'week_start', 1,
                         'parallel_limit', n % 400 + 1)::jsonb, 'UTC',
       '2025-01-06', '2023-01-02', '2025-01-05', 10, true, 5,
       CASE WHEN n < 5 THEN 'in_progress' ELSE 'completed' END::backfill_status_enum, {SEGMENTS_EACH},
       0, 0, CASE WHEN n < 5 THEN 50 ELSE {SEGMENTS_EACH} END, 0, 0, 0, 0, 1, now() - n * interval '1 hour', now(),
       CASE WHEN n < 5 THEN NULL ELSE now() END, now()
  FROM generate_series(0, {COLLECTIONS - 1}) n;
UPDATE report_data_collections SET report_id = collection_id, content_key = md5(collection_id::text), sql_taken = true;
INSERT INTO reports (report_id, team_id, name, next_step, stream_version, created_at, updated_at)
SELECT md5('r' || n)::uuid, 'team-' || n % 20, 'Reach', 'review', 3, now() - n * interval '1 hour', now()
  FROM generate_series(1, 20000) n;
INSERT INTO report_data_weeks
SELECT md5('s' || n || ' ' || k)::uuid, md5('c' || n)::uuid, k, date '2023-01-02' + 7 * (k - 1),
       date '2023-01-08' + 7 * (k - 1),
       CASE WHEN n < 5 AND k > 50 THEN 'pending' ELSE 'completed' END::segment_status_enum, 1, 'e', 7, 70, 'c',
       NULL, NULL, 0, now(), now(), now(), now(), now()
  FROM generate_series(0, {COLLECTIONS - 1}) n, generate_series(1, {SEGMENTS_EACH}) k;
INSERT INTO workflow_schedules
SELECT md5('h' || n)::uuid, 'team-' || n % 20, NULL, NULL, 'w1', 'amc1', 'Weekly',
       json_build_object('frequency', 'weekly', 'daysOfWeek', ARRAY[n % 7 + 1], 'dayOfMonth', n % 500)::jsonb,
       '{{"type": "relative"}}', 'UTC', CASE WHEN n % 100 = 0 THEN 'active' ELSE 'ended' END,
       CASE WHEN n % 10 = 0 THEN 'completed'::backfill_status_enum END,
       CASE WHEN n % 10 = 0 THEN md5('c' || n / 10)::uuid END,
       CASE WHEN n % 100 = 0 THEN now() + n * interval '1 minute' END, now(), 1, 1, now(), now(), 'SELECT 1', '[]',
       '{{}}', NULL, n % 500 = 0, now(), CASE WHEN n % 500 = 100 THEN md5('r' || n)::uuid END,
       CASE WHEN n % 100 <> 0 THEN 'person' END
  FROM generate_series(0, 4999) n;
INSERT INTO schedule_runs
SELECT md5('r' || n)::uuid, md5('h' || n % 500)::uuid, 'team-' || n % 20, now(), now() - n * interval '1 hour', NULL,
       'missed', NULL, 'superseded', NULL, 1, now(), NULL, now()
  FROM generate_series(0, 19999) n;
UPDATE report_data_collections SET schedule_id = md5('h' || (row_count + segments_total) % 7)::uuid
 WHERE finished_at IS NULL;
INSERT INTO report_builder_audit
SELECT n, md5('e' || n)::uuid, 'report-' || n % 20000, n / 20000 + 1, 'report.created', 1,
       'team-' || n % 20, md5('u' || n % 1000)::uuid, 'w1', NULL, '{{}}', '{{}}', now()
  FROM generate_series(1, {COLLECTIONS * SEGMENTS_EACH}) n;
INSERT INTO idempotency_keys
SELECT 'key-' || n, '', 200, '{{}}', n, n, now() - n * interval '1 minute' FROM generate_series(1, 20000) n;
INSERT INTO workflows
SELECT 'w' || n, 'team-' || n % 500, NULL, 'Reach', 'SELECT 1', '[]', 1, now(), now()
  FROM generate_series(1, 5000) n;
INSERT INTO report_steps
SELECT md5('r' || n)::uuid, 'team-' || n % 20, NULL, now() - n * interval '1 hour',
       NULL, NULL, NULL, NULL, 0, 0, 0, 0, 1
  FROM generate_series(1, 20000) n;
INSERT INTO instance_grants
SELECT 'amc' || n || '/team-' || k, 'amc' || n, 'team-' || k, now(), CASE WHEN n % 2 = 0 THEN now() END
  FROM generate_series(1, 500) n, generate_series(1, 10) k;
INSERT INTO segment_leases
SELECT md5('l' || n)::uuid, md5('c' || n)::uuid, 'team-1', NULL, 'w1', 'amc1', 'bulk', 1, 'poll', 1, true,
       now() + n * interval '1 second' FROM generate_series(1, 3000) n;
INSERT INTO users
SELECT md5('u' || n)::uuid, 'https://issuer.example', 'subject-' || n, NULL, NULL, now(), now()
  FROM generate_series(1, 5000) n;
INSERT INTO person_keys
SELECT md5('u' || n)::uuid, 'key-' || n, 'k', '\\x00', now() FROM generate_series(1, 5000) n;
INSERT INTO sign_in_sessions
SELECT decode(md5('s' || n) || md5('t' || n), 'hex'), md5('u' || n)::uuid, '{{red}}', '{{admin}}', now(),
       now() + n * interval '1 minute' FROM generate_series(1, 5000) n;
INSERT INTO tree_heads (epoch, size, note)
SELECT n % 2 + 1, n / 2 + 1, repeat('n', 250) FROM generate_series(1, 40000) n;
INSERT INTO tree_cosignatures (epoch, size, key, line)
SELECT n % 2 + 1, n / 2 + 1, 'k', 'line' FROM generate_series(1, 40000) n;
"""
TODAY = datetime.now(UTC).date()
CALLER = msgspec.structs.replace(LOCAL, team_id="team-7")
FREE_SLOTS = 4 * 9  # instance amc1 is full, and one slot of each is not for bulk work

COLLECTION, USER, STREAM = "md5('c7')::uuid", "md5('u7')::uuid", "'report-7'"

# What a personal text is sealed with.
CURRENT_KEY = _CURRENT.replace("$1", USER)

# What the scheduler asks for again and again.
CALLED_FOR = (
    ("SELECT * FROM workflow_schedules s WHERE " + _CALLED_FOR)
    .replace("$1", "now()")
    .replace("$2", "'{}'::uuid[]")
    .replace("$3", "100")
)

# A page of heads for an export.
OLD_HEADS = HEADS.replace("$1", "15000").replace("$2", "1").replace("$3", "19999")

QUERIES: list[tuple[str, str]] = [
    (
        "report_data_weeks_date_range_idx",
        f"SELECT * FROM report_data_weeks WHERE collection_id = {COLLECTION}"
        " AND week_start >= '2024-01-01' AND week_end < '2024-02-01' ORDER BY week_start",
    ),
    (
        "report_data_weeks_progress_idx",
        f"SELECT status, count(*) FROM report_data_weeks WHERE collection_id = {COLLECTION} GROUP BY status",
    ),
    (
        "report_data_weeks_dispatchable_idx",
        f"SELECT segment_id FROM report_data_weeks WHERE collection_id = {COLLECTION}"
        " AND status IN ('pending', 'waiting') AND stalled IS NULL AND front_at IS NULL"
        " AND (status = 'pending' OR retry_at <= clock_timestamp())"
        " ORDER BY collection_id DESC, front_at DESC, week_start DESC LIMIT 10",
    ),
    (
        "report_data_collections_lookback_config_idx",
        """SELECT * FROM report_data_collections WHERE lookback_config @> '{"type": "relative", "value": 52}'""",
    ),
    (
        "report_data_collections_segmentation_config_idx",
        """SELECT * FROM report_data_collections WHERE segmentation_config @> '{"parallel_limit": 7}'""",
    ),
    (
        "report_data_collections_status_idx",
        "SELECT * FROM report_data_collections WHERE team_id = 'team-3' AND backfill_status = 'in_progress'"
        " ORDER BY created_at DESC LIMIT 50",
    ),
    (
        "report_data_collections_user_idx",
        f"SELECT * FROM report_data_collections WHERE user_id = {USER} ORDER BY created_at DESC LIMIT 20",
    ),
    (
        "report_data_collections_report_idx",
        "SELECT week_start, checksum FROM report_data_weeks w JOIN report_data_collections USING (collection_id)"
        f" WHERE report_id = {COLLECTION} AND team_id = 'team-7' AND status IN ('completed', 'skipped')",
    ),
    (
        "report_data_collections_content_idx",
        "SELECT w.segment_id FROM report_data_collections c JOIN report_data_weeks w USING (collection_id)"
        f" WHERE c.team_id = 'team-7' AND c.content_key = md5({COLLECTION}::text) AND w.status = 'completed'"
        " AND w.week_start >= '2024-01-01' AND w.week_end <= '2024-02-01'",
    ),
    (
        "report_data_collections_instance_idx",
        "SELECT collection_id FROM report_data_collections WHERE instance_id = 'amc7' AND team_id = 'team-7'"
        " ORDER BY created_at DESC LIMIT 20",
    ),
    (
        "reports_team_idx",
        "SELECT * FROM reports WHERE team_id = 'team-7' AND (created_at, report_id) < (now(), md5('r')::uuid)"
        " ORDER BY created_at DESC, report_id DESC LIMIT 51",
    ),
    (
        "report_data_collections_unfinished_idx",
        "SELECT collection_id FROM report_data_collections WHERE finished_at IS NULL ORDER BY created_at",
    ),
    (
        "report_data_collections_admittable_idx",
        "SELECT collection_id FROM report_data_collections WHERE instance_id = 'amc7' AND lane = 'bulk'"
        " AND finished_at IS NULL AND paused IS NULL AND held IS NULL AND cancelled IS NULL",
    ),
    # Admission's own statements use these where many are unfinished: test_admission_plans.py.
    (
        "report_data_collections_cancelled_idx",
        "SELECT collection_id FROM report_data_collections WHERE cancelled IS NOT NULL AND finished_at IS NULL",
    ),
    ("report_data_collections_failing_idx", FAILING),
    (
        "report_data_collections_ended_idx",
        "SELECT collection_id FROM report_data_collections"
        " WHERE finished_at IS NULL AND backfill_status IN ('completed', 'partial', 'failed')",
    ),
    (
        "segment_leases_collection_idx",
        f"SELECT count(*) FROM segment_leases WHERE collection_id = {COLLECTION} AND holds_slot",
    ),
    (
        "workflow_schedules_schedule_config_idx",
        """SELECT * FROM workflow_schedules WHERE schedule_config @> '{"frequency": "weekly", "dayOfMonth": 7}'""",
    ),
    (
        "workflow_schedules_backfill_status_idx",
        "SELECT * FROM workflow_schedules WHERE backfill_status = 'in_progress'",
    ),
    (
        "workflow_schedules_backfill_collection_idx",
        f"SELECT * FROM workflow_schedules WHERE backfill_collection_id = {COLLECTION}",
    ),
    (
        "workflow_schedules_team_idx",
        "SELECT * FROM workflow_schedules WHERE team_id = 'team-0' AND status = 'paused'",
    ),
    (
        "workflow_schedules_due_idx",
        "SELECT * FROM workflow_schedules WHERE status = 'active' AND next_run_at <= now()"
        " ORDER BY next_run_at LIMIT 50",
    ),
    (
        "workflows_team_idx",
        "SELECT * FROM workflows WHERE team_id = 'team-7' AND archived = false AND workflow_id < 'w5'"
        " ORDER BY workflow_id DESC LIMIT 51",
    ),
    (
        "instance_grants_team_idx",
        "SELECT instance_id FROM instance_grants WHERE team_id = 'team-7' AND revoked_at IS NULL",
    ),
    (
        "instance_grants_instance_idx",
        "SELECT team_id FROM instance_grants WHERE instance_id = 'amc7' AND revoked_at IS NULL ORDER BY team_id",
    ),
    ("workflow_schedules_due_idx", CALLED_FOR),
    ("workflow_schedules_held_idx", CALLED_FOR),
    ("workflow_schedules_waiting_idx", CALLED_FOR),
    (
        "report_data_collections_running_idx",
        "SELECT count(*) FROM report_data_collections c WHERE c.schedule_id = md5('h1')::uuid"
        " AND c.finished_at IS NULL",
    ),
    (
        "schedule_runs_schedule_idx",
        "SELECT * FROM schedule_runs WHERE schedule_id = md5('h1')::uuid ORDER BY instant DESC, run_id DESC LIMIT 50",
    ),
    (
        "segment_leases_lease_until_idx",
        "SELECT * FROM segment_leases WHERE lease_until < now() ORDER BY lease_until",
    ),
    ("users_issuer_subject_key", "SELECT user_id FROM users WHERE issuer = 'i' AND subject = 's'"),
    ("tree_heads_size_idx", OLD_HEADS),
    ("person_keys_pkey", CURRENT_KEY),
    ("report_builder_audit_stream_version_key", CURRENT_KEY),
    ("person_keys_key_id_key", "SELECT user_id, key FROM person_keys WHERE key_id = ANY ('{key-7,key-8}')"),
    (
        "sign_in_sessions_pkey",
        "SELECT user_id FROM sign_in_sessions WHERE token_hash = sha256('a') AND expires_at > clock_timestamp()",
    ),
    ("sign_in_sessions_user_idx", f"DELETE FROM sign_in_sessions WHERE user_id = {USER}"),
    ("sign_in_sessions_expires_at_idx", "DELETE FROM sign_in_sessions WHERE expires_at < now()"),
    (
        "report_builder_audit_pkey",
        f"SELECT {COLUMNS} FROM report_builder_audit WHERE position > 5000 ORDER BY position LIMIT 500",
    ),
    ("report_builder_audit_pkey", "SELECT coalesce(max(position), 0) FROM report_builder_audit"),
    (
        "report_builder_audit_stream_version_key",
        f"SELECT {COLUMNS} FROM report_builder_audit WHERE stream = {STREAM} ORDER BY stream_version",
    ),
    (
        "report_builder_audit_stream_version_key",
        OF_STREAMS.replace("$1", f"ARRAY[{STREAM}, 'report-8']").replace("$2", "50000"),
    ),
    (
        "report_builder_audit_user_activity_idx",
        f"SELECT * FROM report_builder_activity WHERE user_id = {USER} ORDER BY position DESC LIMIT 50",
    ),
    ("report_builder_audit_id_key", "SELECT position FROM report_builder_audit WHERE id = md5('e7')::uuid"),
    (
        "report_steps_team_idx",
        "SELECT count(submit_at) FROM report_steps WHERE team_id = 'team-7'"
        " AND created_at >= now() - interval '30 days'",
    ),
    (
        "idempotency_keys_created_at_idx",
        "SELECT key FROM idempotency_keys WHERE created_at < now() - interval '13 days'",
    ),
]


@pytest.fixture(scope="module")
def busy(postgres_server: Server) -> Iterator[Database]:
    with asyncio.Runner() as runner:
        fresh = postgres_server.fresh_database()
        database = runner.run(fresh.__aenter__())
        runner.run(_fill(database))
        yield database
        runner.run(fresh.__aexit__(None, None, None))


async def _fill(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute(f"SET session_replication_role = replica; {FILL}")
    await admin.execute("VACUUM ANALYZE")  # visibility, so that an index alone can answer
    await admin.close()


@pytest.fixture
async def service(busy: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(busy.service_url)
    yield connection
    await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize(("index", "query"), QUERIES)
async def test_a_hot_query_uses_its_index(service: asyncpg.Connection[Any], index: str, query: str) -> None:
    (explained,) = json.loads(await service.fetchval(f"EXPLAIN (FORMAT JSON) {query}"))
    plan = list(nodes(explained["Plan"]))
    assert index in {node.get("Index Name") for node in plan}, explained
    assert not [node for node in plan if node["Node Type"] == "Seq Scan"]


ROUTES: list[tuple[str, str, tuple[str, list[Any]]]] = [
    (
        "report_data_collections_lookback_config_idx",
        "collections by lookback",
        list_statement(ListCollections(lookback_type="custom"), CALLER),
    ),
    (
        "report_data_collections_segmentation_config_idx",
        "collections by segmentation",
        list_statement(ListCollections(segmentation="monthly"), msgspec.structs.replace(CALLER, team_id="team-8")),
    ),
    (
        "report_data_collections_status_idx",
        "collections by status",
        list_statement(ListCollections(status="in_progress"), CALLER),
    ),
    (
        "report_data_weeks_date_range_idx",
        "segments in a range of dates",
        segments_statement(UUID(md5(b"c7").hexdigest()), date(2024, 1, 1), date(2024, 1, 31)),
    ),
    (
        "report_steps_team_idx",
        "figures of the builder",
        (REPORTS.format(team="team_id = $1"), ["team-7", TODAY - timedelta(days=30), TODAY]),
    ),
]


@pytest.mark.parametrize(
    ("index", "statement"), [(index, statement) for index, _, statement in ROUTES], ids=[name for _, name, _ in ROUTES]
)
async def test_a_route_uses_its_index(
    service: asyncpg.Connection[Any], index: str, statement: tuple[str, list[Any]]
) -> None:
    sql, values = statement
    (explained,) = json.loads(await service.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values))
    plan = list(nodes(explained["Plan"]))
    assert index in {node.get("Index Name") for node in plan}, explained
    # Instances and accounts are few; what grows is never read as a whole.
    scanned = {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}
    assert scanned <= {"amc_instances", "amc_account_states"}
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in plan) <= 1000


async def test_every_index_has_its_query_here(service: asyncpg.Connection[Any]) -> None:
    rows = await service.fetch(
        "SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
        " WHERE relnamespace = 'public'::regnamespace AND NOT indisunique"
    )
    assert {row["name"] for row in rows} <= {index for index, _ in QUERIES}


async def test_the_log_has_four_indexes_and_no_more(service: asyncpg.Connection[Any]) -> None:
    count = "SELECT count(*) FROM pg_index WHERE indrelid = 'report_builder_audit'::regclass"
    assert await service.fetchval(count) == 4


SCANS = """
SELECT i.idx_scan AS dispatchable, t.seq_scan AS whole_table, t.idx_tup_fetch AS rows
  FROM pg_stat_user_indexes i JOIN pg_stat_user_tables t USING (relid)
 WHERE i.indexrelname = 'report_data_weeks_dispatchable_idx'
"""


async def test_admission_looks_at_what_may_be_dispatched_alone(service: asyncpg.Connection[Any]) -> None:
    await service.execute("SELECT pg_stat_force_next_flush()")
    before = await service.fetchrow(SCANS)
    async with service.transaction():
        admitted = await service.fetch("SELECT * FROM admit_segments($1, 60)", [new_id() for _ in range(64)])
    assert len(admitted) == FREE_SLOTS
    await service.execute("SELECT pg_stat_force_next_flush()")
    after = await service.fetchrow(SCANS)
    assert before is not None
    assert after is not None
    assert after["dispatchable"] > before["dispatchable"]
    assert after["whole_table"] == before["whole_table"]
    # Each of the collections has 50 pending, and room for nine.
    assert after["rows"] - before["rows"] <= FREE_SLOTS
