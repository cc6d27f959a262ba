"""A log of any length, written at once: builder sessions and their segments, of many teams, side by side."""

from __future__ import annotations

import asyncpg

from projections.activity import index_activity
from tests.postgres import Database

BIG, SMALL = "big", "small"

# Of each 100 events of a session 5 are its steps, 90 its 15 segments'. 32 sessions are always under way.
# Team big has half of all, nine others share the rest, but for team small: one session in 400.
# recorded_at moves on by 2.592 seconds a position: a million are 30 days.


def _fill(events: int) -> str:
    """The statement; types are chosen by a session's event number."""
    segment = (
        "(ARRAY['segment.dispatched','segment.submission_started','segment.submitted','segment.started',"
        "'segment.executed','segment.completed'])[least((k - 6) / 15, 5) + 1]"
    )
    return f"""
INSERT INTO report_builder_audit
SELECT n, md5('e' || n)::uuid, stream, row_number() OVER (PARTITION BY stream ORDER BY n), event_type, 1, team,
       md5('u' || team || r % 20)::uuid, 'w-' || team || '-' || r % 50, step,
       json_build_object('collection_id', md5('c' || r)::uuid, 'text', repeat('x', 150)),
       json_build_object('correlation_id', md5('r' || r)::uuid),
       timestamptz '2026-01-01 00:00Z' + n * interval '2.592 s'
  FROM (
    SELECT n, r,
           CASE WHEN r % 400 = 17 THEN 'small' WHEN r % 2 = 0 THEN 'big' ELSE 'team-' || r % 9 END AS team,
           CASE WHEN n % 50000 = 0 THEN 'workflow-' || md5('w' || n)::uuid
                WHEN k < 5 THEN 'report-' || md5('r' || r)::uuid
                WHEN k BETWEEN 6 AND 95 THEN 'segment-' || md5('s' || r || ' ' || k % 15)::uuid
                ELSE 'collection-' || md5('c' || r)::uuid END AS stream,
           CASE WHEN n % 50000 = 0 THEN 'workflow.created'
                WHEN k < 5 THEN (ARRAY['report.created','report.parameters_set','report.schedule_set',
                                       'report.reviewed','report.submitted'])[k + 1]
                WHEN k = 5 THEN 'collection.created'
                WHEN k < 96 THEN {segment}
                ELSE 'collection.finished' END AS event_type,
           CASE WHEN n % 50000 <> 0 THEN
             CASE k WHEN 1 THEN 'parameters' WHEN 2 THEN 'schedule' WHEN 3 THEN 'review' WHEN 4 THEN 'submit' END
           END AS step
      FROM (SELECT n, n / 3200 * 32 + n % 32 AS r, n / 32 % 100 AS k FROM generate_series(1, {events}) n) s) e
 ORDER BY n
"""


# What the projection would have made of it.
STEPS = """
INSERT INTO report_steps
SELECT substr(stream, 8)::uuid, min(team_id), (array_agg(user_id))[1],
       min(recorded_at) FILTER (WHERE event_type = 'report.created'),
       min(recorded_at) FILTER (WHERE step_completed = 'parameters'),
       min(recorded_at) FILTER (WHERE step_completed = 'schedule'),
       min(recorded_at) FILTER (WHERE step_completed = 'review'),
       min(recorded_at) FILTER (WHERE step_completed = 'submit'),
       count(*) FILTER (WHERE step_completed = 'parameters'), count(*) FILTER (WHERE step_completed = 'schedule'),
       count(*) FILTER (WHERE step_completed = 'review'), count(*) FILTER (WHERE step_completed = 'submit'),
       max(stream_version)
  FROM report_builder_audit WHERE stream LIKE 'report-%' GROUP BY stream
HAVING count(*) FILTER (WHERE event_type = 'report.created') > 0
"""
WORKFLOWS = """
INSERT INTO workflows
SELECT DISTINCT 'w-' || team || '-' || n, team, NULL::uuid, 'Reach ' || n, 'SELECT 1', '[]'::jsonb, 1, now(), now()
  FROM unnest(ARRAY['big', 'small', 'team-1', 'team-3', 'team-5', 'team-7']) team, generate_series(0, 49) n
"""


async def fill_events(database: Database, events: int) -> None:
    """Writes the log alone."""
    await _execute(database, _fill(events))


async def fill_log(database: Database, events: int) -> None:
    """Writes the log and all that is made from it, and has the index of its blocks made by the service's role."""
    await _execute(database, _fill(events), STEPS, WORKFLOWS)
    service = await asyncpg.connect(database.service_url)
    try:
        while await index_activity(service):
            pass
    finally:
        await service.close()
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("VACUUM ANALYZE")
    await admin.close()


async def _execute(database: Database, *statements: str) -> None:
    admin = await asyncpg.connect(database.admin_url)
    try:
        # Triggers stay out of it: they refuse no INSERT, but are looked up for each.
        await admin.execute("SET session_replication_role = replica")
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.close()
