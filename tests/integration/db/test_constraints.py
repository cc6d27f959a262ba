"""Each constraint of each table refuses what it names, and no constraint is left out here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from tests.postgres import Database, Server

NIL, ONE, TWO = (f"00000000-0000-7000-8000-00000000000{digit}" for digit in range(3))
LOCAL_PERSON = ONE
SOMEBODY = "00000000-0000-7000-8000-00000000000a"

# One valid row of each table; NIL is the collection and the segment.
ROWS: dict[str, dict[str, Any]] = {
    "append_lock": {},
    "lease_settlement": {},
    "schema_migrations": {},
    "projection_checkpoints": {},
    "schema_objects": {"name": "functions/x.sql", "digest": "0"},
    "report_builder_audit": {
        "position": 1,
        "id": NIL,
        "stream": "report-1",
        "stream_version": 1,
        "event_type": "report.created",
        "schema_version": 1,
        "team_id": "team-1",
        "configuration": {},
        "metadata": {},
        "recorded_at": "2025-01-01",
    },
    "idempotency_keys": {
        "key": "k",
        "digest": "\\x00",
        "status": 200,
        "answer": {},
        "first_position": 3,
        "last_position": 3,
        "created_at": "2025-01-01",
    },
    "workflows": {
        "workflow_id": "w1",
        "team_id": "team-1",
        "name": "Reach",
        "sql_query": "SELECT 1",
        "parameters": [],
        "stream_version": 1,
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "amc_instances": {
        "instance_id": "amc1",
        "team_id": "team-1",
        "name": "Sandbox",
        "advertiser_id": "E1",
        "marketplace_id": "M1",
        "time_zone": "UTC",
        "max_concurrent": 1,
        "retention_days": 1,
        "account_id": "default",
        "final_after_days": 14,
        "stream_version": 1,
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "instance_grants": {
        "grant_id": "amc1/team-2",
        "instance_id": "amc1",
        "team_id": "team-2",
        "granted_at": "2025-01-01",
    },
    "amc_accounts": {
        "credential_id": NIL,
        "account_id": "a",
        "client_secret": "\\x00",
        "refresh_token": "\\x00",
        "key_id": "0",
        "created_at": "2025-01-01",
    },
    "amc_account_states": {
        "account_id": "a",
        "team_id": "team-1",
        "name": "Brand",
        "status": "reconnect",
        "cause": "refused",
        "status_since": "2025-01-01",
        "stream_version": 1,
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "instance_days": {"instance_id": "amc1", "day": "2025-01-01", "begun": 0},
    "slot_turns": {"holder": "team a", "given_at": "2025-01-01"},
    "amc_paces": {
        "account_id": "a",
        "due": "2025-01-01",
        "retry_due": "2025-01-01",
        "rate": 1,
        "rate_at": "2025-01-01",
    },
    "amc_breakers": {"instance_id": "amc1", "failures": 1, "error": "HTTP 500"},
    "team_limits": {"team_id": "team-1", "stream_version": 1, "updated_at": "2025-01-01"},
    "report_data_collections": {
        "collection_id": NIL,
        "team_id": "team-1",
        "workflow_id": "w1",
        "instance_id": "amc1",
        "name": "History",
        "lane": "bulk",
        "lookback_config": {"type": "relative"},
        "segmentation_config": {"type": "weekly"},
        "timezone": "UTC",
        "as_of": "2025-01-13",
        "window_start": "2025-01-06",
        "window_end": "2025-01-06",
        "parallel_limit": 1,
        "newest_first": True,
        "max_attempts": 1,
        "backfill_status": "pending",
        "segments_total": 6,
        "segments_active": 1,
        "segments_waiting": 1,
        "segments_completed": 1,
        "segments_failed": 1,
        "segments_cancelled": 1,
        "segments_skipped": 1,
        "row_count": 0,
        "stream_version": 1,
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "report_data_weeks": {
        "segment_id": NIL,
        "collection_id": NIL,
        "segment_number": 1,
        "week_start": "2025-01-06",
        "week_end": "2025-01-06",
        "status": "completed",
        "attempts": 0,
        "row_count": 0,
        "checksum": "c0ffee",
        "retry_at": "2025-01-01",
        "stream_version": 1,
        "updated_at": "2025-01-01",
    },
    "workflow_schedules": {
        "schedule_id": NIL,
        "team_id": "team-1",
        "workflow_id": "w1",
        "instance_id": "amc1",
        "name": "Every Monday",
        "schedule_config": {"frequency": "weekly"},
        "lookback_config": {"type": "relative"},
        "timezone": "UTC",
        "status": "active",
        "backfill_status": "pending",
        "backfill_collection_id": NIL,
        "run_count": 0,
        "stream_version": 1,
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
        "sql_query": "SELECT 1",
        "declared_parameters": [],
        "parameters": {},
        "held": True,
        "handled_at": "2025-01-01",
        "waiting_run_id": NIL,
        "end_cause": "person",
    },
    "schedule_runs": {
        "run_id": NIL,
        "schedule_id": NIL,
        "team_id": "team-1",
        "nominal": "2025-01-01T09:00:00",
        "instant": "2025-01-01T14:00:00Z",
        "as_of": "2025-01-01",
        "status": "started",
        "cause": "on_time",
        "collection_id": NIL,
        "stream_version": 1,
        "created_at": "2025-01-01",
        "started_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "settable_clock": {"one": True, "start_at": "2025-01-01", "speed": 1, "set_at": "2025-01-01"},
    "segment_leases": {
        "segment_id": NIL,
        "collection_id": NIL,
        "team_id": "team-1",
        "workflow_id": "w1",
        "instance_id": "amc1",
        "lane": "bulk",
        "fence": 1,
        "step": "submit",
        "sequence": 0,
        "holds_slot": True,
        "lease_until": "2025-01-01",
    },
    "reports": {
        "report_id": NIL,
        "team_id": "team-1",
        "name": "Reach",
        "next_step": "review",
        "schedule_type": "once",
        "stream_version": 3,
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "activity_blocks": {"facet": "team", "value": "team-1", "block": 0, "bits": "0" * 256},
    "report_steps": {
        "report_id": NIL,
        "team_id": "team-1",
        "created_at": "2025-01-01",
        "parameters_at": "2025-01-01",
        "schedule_at": "2025-01-01",
        "review_at": "2025-01-01",
        "submit_at": "2025-01-01",
        "parameters_posts": 2,
        "schedule_posts": 1,
        "review_posts": 1,
        "submit_posts": 1,
        "stream_version": 6,
    },
    "request_errors": {
        "team_id": "team-1",
        "day": "2025-01-01",
        "user_id": NIL,
        "route": "GET /x",
        "code": "invalid",
        "count": 1,
    },
    "request_rates": {"user_id": NIL, "policy": "reads/10", "slice": 1, "counts": [0] * 11, "taken_at": "2025-01-01"},
    # Beside the local person, whom the migration makes.
    "users": {
        "user_id": SOMEBODY,
        "issuer": "i",
        "subject": "s",
        "created_at": "2025-01-01",
        "updated_at": "2025-01-01",
    },
    "person_keys": {
        "user_id": LOCAL_PERSON,
        "key_id": "0",
        "wrapped_with": "0",
        "key": "\\x00",
        "created_at": "2025-01-01",
    },
    "subscriptions": {"subscriber": "amqp", "position": 0, "holder": NIL, "held_until": "2025-01-01"},
    "tree_tiles": {"level": 0, "index": 0, "hashes": "\\x" + 32 * "00"},
    "tree_heads": {"epoch": 1, "size": 1, "note": "n", "signed_at": "2025-01-01"},
    "tree_cosignatures": {"epoch": 1, "size": 1, "key": "k", "line": "l", "signed_at": "2025-01-01"},
    "tree_keys": {"key": "k", "first_used": "2025-01-01"},
    "tree_pushes": {"place": "file"},
    "sign_in_sessions": {
        "token_hash": "\\x" + 32 * "00",
        "user_id": LOCAL_PERSON,
        "teams": ["team-1"],
        "scopes": ["admin"],
        "created_at": "2025-01-01",
        "expires_at": "2025-01-02",
    },
}

# What makes a second row of the table a valid one.
ANOTHER: dict[str, dict[str, Any]] = {
    "append_lock": {},
    "lease_settlement": {},
    "schema_migrations": {"number": 99},
    "projection_checkpoints": {"projection": "other"},
    "schema_objects": {"name": "functions/y.sql"},
    "report_builder_audit": {"position": 2, "id": ONE, "stream_version": 2},
    "idempotency_keys": {"key": "l"},
    "workflows": {"workflow_id": "w2"},
    "amc_instances": {"instance_id": "amc2"},
    "instance_grants": {"grant_id": "amc1/team-3"},
    "amc_accounts": {"credential_id": ONE},
    "amc_account_states": {"account_id": "b"},
    "instance_days": {"instance_id": "amc2"},
    "subscriptions": {"subscriber": "other"},
    "tree_tiles": {"index": 1},
    "tree_heads": {"size": 2},
    "tree_cosignatures": {"key": "l"},
    "tree_keys": {"key": "l"},
    "tree_pushes": {"place": "log"},
    "slot_turns": {"holder": "team b"},
    "amc_paces": {"account_id": "b"},
    "amc_breakers": {"instance_id": "amc2"},
    "team_limits": {"team_id": "team-2"},
    "report_data_collections": {"collection_id": ONE},
    "report_data_weeks": {"segment_id": ONE, "segment_number": 2},
    "workflow_schedules": {"schedule_id": ONE},
    "schedule_runs": {"run_id": ONE},
    "settable_clock": {},
    "segment_leases": {"segment_id": ONE},
    "reports": {"report_id": ONE},
    "activity_blocks": {"block": 1},
    "report_steps": {"report_id": ONE},
    "request_errors": {"code": "stale"},
    "request_rates": {"policy": "writes/10"},
    "users": {"user_id": TWO, "subject": "another"},
    "person_keys": {"user_id": SOMEBODY, "key_id": "1"},
    "sign_in_sessions": {"token_hash": "\\x" + 32 * "01"},
}

# Table, constraint, and what the second row has instead.
VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("append_lock", "append_lock_pkey", {}),
    ("append_lock", "append_lock_one_check", {"one": False}),
    ("lease_settlement", "lease_settlement_pkey", {}),
    ("lease_settlement", "lease_settlement_one_check", {"one": False}),
    ("lease_settlement", "lease_settlement_position_check", {"position": -1}),
    ("schema_migrations", "schema_migrations_pkey", {"number": 1}),
    ("schema_objects", "schema_objects_pkey", {"name": "functions/x.sql"}),
    ("projection_checkpoints", "projection_checkpoints_pkey", {"projection": "read_models"}),
    ("projection_checkpoints", "projection_checkpoints_position_check", {"position": -1}),
    ("projection_checkpoints", "projection_checkpoints_stopped_check", {"stopped_at": 7}),
    ("report_builder_audit", "report_builder_audit_pkey", {"position": 1}),
    ("report_builder_audit", "report_builder_audit_id_key", {"id": NIL}),
    ("report_builder_audit", "report_builder_audit_stream_version_key", {"stream_version": 1}),
    ("report_builder_audit", "report_builder_audit_position_check", {"position": 0}),
    ("report_builder_audit", "report_builder_audit_stream_version_check", {"stream_version": 0}),
    ("report_builder_audit", "report_builder_audit_schema_version_check", {"schema_version": 0}),
    ("report_builder_audit", "report_builder_audit_stream_check", {"stream": "order-1"}),
    ("report_builder_audit", "report_builder_audit_stream_check", {"stream": "report-"}),
    ("report_builder_audit", "report_builder_audit_step_completed_check", {"step_completed": "done"}),
    ("idempotency_keys", "idempotency_keys_pkey", {"key": "k"}),
    ("idempotency_keys", "idempotency_keys_positions_check", {"last_position": 2}),
    ("workflows", "workflows_pkey", {"workflow_id": "w1"}),
    ("workflows", "workflows_name_check", {"name": ""}),
    ("workflows", "workflows_parameters_check", {"parameters": {}}),
    ("amc_instances", "amc_instances_pkey", {"instance_id": "amc1"}),
    ("amc_instances", "amc_instances_max_concurrent_check", {"max_concurrent": 0}),
    ("amc_instances", "amc_instances_retention_days_check", {"retention_days": 0}),
    ("amc_instances", "amc_instances_final_after_days_check", {"final_after_days": -1}),
    ("amc_instances", "amc_instances_max_executions_per_day_check", {"max_executions_per_day": 0}),
    ("instance_grants", "instance_grants_pkey", {"grant_id": "amc1/team-2"}),
    ("instance_grants", "instance_grants_instance_id_fkey", {"instance_id": "amc9"}),
    ("amc_accounts", "amc_accounts_pkey", {"credential_id": NIL}),
    ("amc_accounts", "amc_accounts_client_secret_check", {"client_secret": None}),
    ("amc_accounts", "amc_accounts_client_secret_check", {"client_secret_reference": "env:X"}),
    ("amc_accounts", "amc_accounts_refresh_token_check", {"refresh_token": None}),
    ("amc_accounts", "amc_accounts_key_id_check", {"key_id": None}),
    ("amc_account_states", "amc_account_states_pkey", {"account_id": "a"}),
    ("amc_account_states", "amc_account_states_status_check", {"status": "gone", "cause": None}),
    ("amc_account_states", "amc_account_states_cause_check", {"cause": None}),
    ("slot_turns", "slot_turns_pkey", {"holder": "team a"}),
    ("instance_days", "instance_days_pkey", {"instance_id": "amc1"}),
    ("instance_days", "instance_days_begun_check", {"begun": -1}),
    ("amc_paces", "amc_paces_pkey", {"account_id": "a"}),
    ("amc_paces", "amc_paces_rate_check", {"rate": 0}),
    ("amc_breakers", "amc_breakers_pkey", {"instance_id": "amc1"}),
    ("team_limits", "team_limits_pkey", {"team_id": "team-1"}),
    ("team_limits", "team_limits_max_concurrent_check", {"max_concurrent": 0}),
    ("team_limits", "team_limits_max_concurrent_per_user_check", {"max_concurrent_per_user": 0}),
    ("report_data_collections", "report_data_collections_pkey", {"collection_id": NIL}),
    ("report_data_collections", "report_data_collections_lane_check", {"lane": "fast"}),
    ("report_data_collections", "report_data_collections_window_check", {"window_end": "2025-01-05"}),
    ("report_data_collections", "report_data_collections_parallel_limit_check", {"parallel_limit": 0}),
    ("report_data_collections", "report_data_collections_max_attempts_check", {"max_attempts": 0}),
    (
        "report_data_collections",
        "report_data_collections_lookback_config_check",
        {"lookback_config": {"type": "x"}},
    ),
    ("report_data_collections", "report_data_collections_lookback_config_check", {"lookback_config": {}}),
    (
        "report_data_collections",
        "report_data_collections_segmentation_config_check",
        {"segmentation_config": {"type": "hourly"}},
    ),
    ("report_data_collections", "report_data_collections_segmentation_config_check", {"segmentation_config": {}}),
    ("report_data_collections", "report_data_collections_segments_check", {"segments_total": 5}),
    *(
        ("report_data_collections", "report_data_collections_segments_check", {f"segments_{counter}": -1})
        for counter in ("total", "active", "waiting", "completed", "failed", "cancelled", "skipped")
    ),
    ("report_data_weeks", "report_data_weeks_pkey", {"segment_id": NIL}),
    ("report_data_weeks", "report_data_weeks_collection_id_fkey", {"collection_id": TWO}),
    ("report_data_weeks", "report_data_weeks_segment_number_key", {"segment_number": 1}),
    ("report_data_weeks", "report_data_weeks_segment_number_check", {"segment_number": 0}),
    ("report_data_weeks", "report_data_weeks_window_check", {"week_end": "2025-01-05"}),
    ("report_data_weeks", "report_data_weeks_attempts_check", {"attempts": -1}),
    ("report_data_weeks", "report_data_weeks_row_count_check", {"row_count": -1}),
    ("report_data_weeks", "report_data_weeks_completed_check", {"checksum": None}),
    ("report_data_weeks", "report_data_weeks_completed_check", {"row_count": None}),
    ("report_data_weeks", "report_data_weeks_waiting_check", {"status": "waiting", "retry_at": None}),
    ("workflow_schedules", "workflow_schedules_pkey", {"schedule_id": NIL}),
    ("workflow_schedules", "workflow_schedules_backfill_collection_id_fkey", {"backfill_collection_id": TWO}),
    ("workflow_schedules", "workflow_schedules_backfill_check", {"backfill_status": None}),
    ("workflow_schedules", "workflow_schedules_backfill_check", {"backfill_collection_id": None}),
    ("workflow_schedules", "workflow_schedules_status_check", {"status": "asleep"}),
    (
        "workflow_schedules",
        "workflow_schedules_schedule_config_check",
        {"schedule_config": {"frequency": "hourly"}},
    ),
    ("workflow_schedules", "workflow_schedules_schedule_config_check", {"schedule_config": {}}),
    ("workflow_schedules", "workflow_schedules_run_count_check", {"run_count": -1}),
    (
        "workflow_schedules",
        "workflow_schedules_held_check",
        {"backfill_collection_id": None, "backfill_status": None},
    ),
    ("workflow_schedules", "workflow_schedules_ended_check", {"status": "ended"}),
    (
        "workflow_schedules",
        "workflow_schedules_ended_check",
        {"status": "ended", "waiting_run_id": None, "next_run_at": "2025-01-01"},
    ),
    (
        "workflow_schedules",
        "workflow_schedules_ended_check",
        {"status": "ended", "waiting_run_id": None, "end_cause": None},
    ),
    ("workflow_schedules", "workflow_schedules_end_cause_check", {"end_cause": "tired"}),
    ("schedule_runs", "schedule_runs_pkey", {"run_id": NIL}),
    ("schedule_runs", "schedule_runs_schedule_id_fkey", {"schedule_id": TWO}),
    ("schedule_runs", "schedule_runs_collection_id_fkey", {"collection_id": TWO}),
    ("schedule_runs", "schedule_runs_status_check", {"status": "late", "collection_id": None}),
    ("schedule_runs", "schedule_runs_started_check", {"collection_id": None}),
    ("schedule_runs", "schedule_runs_started_check", {"cause": None}),
    ("schedule_runs", "schedule_runs_started_check", {"started_at": None}),
    ("schedule_runs", "schedule_runs_started_check", {"status": "waiting"}),
    ("schedule_runs", "schedule_runs_reason_check", {"reason": "overlap"}),
    ("schedule_runs", "schedule_runs_reason_check", {"status": "missed", "collection_id": None}),
    ("settable_clock", "settable_clock_pkey", {}),
    ("settable_clock", "settable_clock_one_check", {"one": False}),
    ("settable_clock", "settable_clock_speed_check", {"speed": 0}),
    ("segment_leases", "segment_leases_pkey", {"segment_id": NIL}),
    ("segment_leases", "segment_leases_lane_check", {"lane": "fast"}),
    ("segment_leases", "segment_leases_step_check", {"step": "wait"}),
    ("segment_leases", "segment_leases_fence_check", {"fence": 0}),
    ("report_data_weeks", "report_data_weeks_skipped_check", {"status": "skipped"}),
    ("report_data_weeks", "report_data_weeks_reused_check", {"status": "skipped", "skip_reason": "final"}),
    ("reports", "reports_pkey", {"report_id": NIL}),
    ("reports", "reports_next_step_check", {"next_step": "wait"}),
    ("reports", "reports_schedule_type_check", {"schedule_type": "always"}),
    ("reports", "reports_submitted_check", {"next_step": None}),
    ("activity_blocks", "activity_blocks_pkey", {"block": 0}),
    ("activity_blocks", "activity_blocks_facet_check", {"facet": "person"}),
    ("activity_blocks", "activity_blocks_block_check", {"block": -1}),
    ("report_steps", "report_steps_pkey", {"report_id": NIL}),
    ("report_steps", "report_steps_posts_check", {"review_posts": 0}),
    ("request_errors", "request_errors_pkey", {"code": "invalid"}),
    ("request_errors", "request_errors_count_check", {"count": 0}),
    ("request_rates", "request_rates_pkey", {"policy": "reads/10"}),
    ("request_rates", "request_rates_counts_check", {"counts": [0] * 10}),
    ("users", "users_pkey", {"user_id": LOCAL_PERSON}),
    ("users", "users_issuer_subject_key", {"subject": "local"}),
    ("person_keys", "person_keys_pkey", {"user_id": LOCAL_PERSON}),
    ("person_keys", "person_keys_key_id_key", {"key_id": "0"}),
    ("person_keys", "person_keys_user_id_fkey", {"user_id": TWO}),
    ("subscriptions", "subscriptions_pkey", {"subscriber": "amqp"}),
    ("subscriptions", "subscriptions_position_check", {"position": -1}),
    ("tree_tiles", "tree_tiles_pkey", {"index": 0}),
    ("tree_tiles", "tree_tiles_level_check", {"level": 8}),
    ("tree_tiles", "tree_tiles_index_check", {"index": -1}),
    ("tree_tiles", "tree_tiles_hashes_check", {"hashes": "\\x" + 33 * "00"}),
    ("tree_heads", "tree_heads_pkey", {"size": 1}),
    ("tree_heads", "tree_heads_epoch_check", {"epoch": 0}),
    ("tree_heads", "tree_heads_size_check", {"size": 0}),
    ("tree_cosignatures", "tree_cosignatures_pkey", {"key": "k"}),
    ("tree_cosignatures", "tree_cosignatures_head_fkey", {"size": 9}),
    ("tree_keys", "tree_keys_pkey", {"key": "k"}),
    ("tree_pushes", "tree_pushes_pkey", {"place": "file"}),
    ("sign_in_sessions", "sign_in_sessions_pkey", {"token_hash": "\\x" + 32 * "00"}),
    ("sign_in_sessions", "sign_in_sessions_user_id_fkey", {"user_id": TWO}),
    ("sign_in_sessions", "sign_in_sessions_token_hash_check", {"token_hash": "\\x00"}),
]


@pytest.fixture(scope="module")
def filled(postgres_server: Server) -> Iterator[Database]:
    """A database with one row in each table, for all tests of this module: none of them commits."""
    with asyncio.Runner() as runner:
        fresh = postgres_server.fresh_database()
        database = runner.run(fresh.__aenter__())
        runner.run(_fill(database))
        yield database
        runner.run(fresh.__aexit__(None, None, None))


async def _fill(database: Database) -> None:
    connection = await asyncpg.connect(database.admin_url)
    for table, row in ROWS.items():
        if row:
            names = ", ".join(row)
            await connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, $1)",
                json.dumps(row),
            )
    await connection.close()


@pytest.fixture
async def connection(filled: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(filled.admin_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def insert_another(connection: asyncpg.Connection[Any], table: str, changes: dict[str, Any]) -> None:
    """A copy of the table's first row, with these columns in it changed."""
    await connection.execute(
        f"INSERT INTO {table} SELECT (jsonb_populate_record(t, $1)).* FROM {table} t LIMIT 1", json.dumps(changes)
    )


@pytest.mark.parametrize(("table", "constraint", "changes"), VIOLATIONS)
async def test_a_constraint_refuses_what_it_names(
    connection: asyncpg.Connection[Any], table: str, constraint: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await insert_another(connection, table, ANOTHER[table] | changes)
    assert refused.value.constraint_name == constraint


ONE_ROW = ("append_lock", "lease_settlement", "settable_clock")


@pytest.mark.parametrize("table", [table for table in ANOTHER if table not in ONE_ROW])
async def test_the_second_row_is_valid_but_for_what_a_violation_changes(
    connection: asyncpg.Connection[Any], table: str
) -> None:
    await insert_another(connection, table, ANOTHER[table])


async def test_a_collection_that_segments_belong_to_cannot_be_deleted(connection: asyncpg.Connection[Any]) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="report_data_weeks_collection_id_fkey"):
        await connection.execute("DELETE FROM report_data_collections")


async def test_no_constraint_is_left_out_here(connection: asyncpg.Connection[Any]) -> None:
    rows = await connection.fetch(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u', 'x')"
    )
    assert {tuple(row) for row in rows} == {(table, constraint) for table, constraint, _ in VIOLATIONS}


async def test_no_unique_index_stands_without_a_constraint(connection: asyncpg.Connection[Any]) -> None:
    rows = await connection.fetch(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
        " WHERE relnamespace = 'public'::regnamespace AND indisunique"
        "   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
    )
    assert rows == []
