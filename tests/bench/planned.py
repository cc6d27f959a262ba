"""A database with many segments planned, put in at once: rows of the read models, with the events that they stand for
as far as admission looks at them."""

from __future__ import annotations

import asyncpg
import msgspec

from tests.postgres import Database


class Plan(msgspec.Struct, frozen=True):
    """`collections` of `segments` days each, none finished, spread evenly over `instances` (of an account for each
    ten), `teams` and three users in each team. `busy` slots of each instance are taken, by other segments of the
    collections there."""

    instances: int
    collections: int
    segments: int
    teams: int
    busy: int
    slots: int = 10

    @property
    def planned(self) -> int:
        return self.collections * self.segments

    @property
    def leases(self) -> int:
        return self.instances * self.busy


# Numbers in the text, as a script has no parameters: all are from the struct.
FILL = """
INSERT INTO amc_instances (instance_id, team_id, name, advertiser_id, marketplace_id, time_zone, max_concurrent,
                           retention_days, stream_version, created_at, updated_at, account_id)
SELECT 'amc' || n, 'team-0', 'Instance', 'E', 'M', 'UTC', {slots}, 425, 1, now(), now(), 'account-' || n / 10
  FROM generate_series(0, {instances} - 1) n;
INSERT INTO report_data_collections (
  collection_id, team_id, user_id, workflow_id, instance_id, name, lane, lookback_config, segmentation_config, timezone,
  as_of, window_start, window_end, parallel_limit, newest_first, max_attempts, backfill_status, segments_total,
  segments_active, stream_version, created_at, started_at, updated_at, content_key, sql_taken)
SELECT md5('c' || n)::uuid, 'team-' || n % {teams}, md5('u' || n % (3 * {teams}))::uuid, 'w1',
       'amc' || n % {instances}, 'History', 'bulk', '{{"type": "relative", "unit": "days", "value": 365}}',
       '{{"type": "daily", "parallel_limit": 10}}', 'UTC', '2026-01-01', '2025-01-01', '2025-12-31', 10, n % 2 = 0, 5,
       'in_progress', {segments}, 0, 1, now() - n * interval '1 second', now(), now(), md5(n::text), true
  FROM generate_series(0, {collections} - 1) n;
INSERT INTO report_data_weeks (segment_id, collection_id, segment_number, week_start, week_end, status, stream_version,
                               updated_at)
SELECT md5('s' || n || ' ' || k)::uuid, md5('c' || n)::uuid, k, date '2025-01-01' + k, date '2025-01-01' + k,
       'pending', 0, now()
  FROM generate_series(0, {collections} - 1) n, generate_series(1, {segments}) k;
INSERT INTO report_builder_audit
SELECT n + 1, md5('ce' || n)::uuid, 'collection-' || md5('c' || n)::uuid, 1, 'collection.created', 1,
       'team-' || n % {teams}, md5('u' || n % (3 * {teams}))::uuid, 'w1', NULL, '{{}}', '{{}}', now()
  FROM generate_series(0, {collections} - 1) n;
-- Slot k of an instance is held by the k-th of its collections, or by the first again where they are fewer.
CREATE TEMP TABLE taken AS
SELECT i + {instances} * (k % greatest({collections} / {instances}, 1)) AS n, i, k, i * {busy} + k AS number
  FROM generate_series(0, {instances} - 1) i, generate_series(0, {busy} - 1) k;
INSERT INTO report_data_weeks (segment_id, collection_id, segment_number, week_start, week_end, status, stream_version,
                               attempts, dispatched_at, updated_at)
SELECT md5('l' || i || ' ' || k)::uuid, md5('c' || n)::uuid, {segments} + 1 + k, date '2024-01-01' + k,
       date '2024-01-01' + k, 'dispatched', 1, 1, now(), now() FROM taken;
INSERT INTO report_builder_audit
SELECT {collections} + 1 + number, md5('le' || number)::uuid, 'segment-' || md5('l' || i || ' ' || k)::uuid, 1,
       'segment.dispatched', 1, 'team-' || n % {teams}, md5('u' || n % (3 * {teams}))::uuid, 'w1', NULL,
       json_build_object('collection_id', md5('c' || n)::uuid, 'attempt', 1, 'step', 'submit', 'reason', 'admitted'),
       '{{}}', now() FROM taken;
INSERT INTO segment_leases
SELECT md5('l' || i || ' ' || k)::uuid, md5('c' || n)::uuid, 'team-' || n % {teams},
       md5('u' || n % (3 * {teams}))::uuid, 'w1', 'amc' || i, 'bulk', 1, 'poll', 1, true, now() + interval '1 hour'
  FROM taken;
INSERT INTO slot_turns
SELECT DISTINCT h.holder, now() - hashtext(h.holder) % 100000 * interval '1 second'
  FROM taken CROSS JOIN LATERAL unnest(turn_holders('team-' || n % {teams}, md5('u' || n % (3 * {teams}))::uuid,
                                                    md5('c' || n)::uuid)) AS h(holder);
UPDATE report_data_collections c SET segments_active = t.active, segments_total = {segments} + t.active
  FROM (SELECT n, count(*) AS active FROM taken GROUP BY n) t WHERE c.collection_id = md5('c' || t.n)::uuid;
DROP TABLE taken;
UPDATE projection_checkpoints SET position = (SELECT max(position) FROM report_builder_audit);
"""


async def fill(database: Database, plan: Plan) -> None:
    """Puts the plan into an empty database; its leases are settled, its pages are in cache, and it is vacuumed."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        script = FILL.format(**msgspec.structs.asdict(plan))
        await admin.execute(f"SET session_replication_role = replica; {script}")
        await admin.execute("RESET session_replication_role")
        await admin.execute("SELECT settle_new_events()")
        await admin.execute("VACUUM ANALYZE")
    finally:
        await admin.close()
