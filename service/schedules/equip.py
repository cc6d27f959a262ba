"""What a run's collection owes to the past: segments that are there already, older ones whose data Amazon may have
restated since, and whether AMC has taken the SQL before."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from db.pool import Pool
from events.envelope import new_id
from events.types.collection import CollectionCreated, PlannedSegment
from events.types.schedule import Configured
from events.types.workflow import WorkflowCreated
from service.amc.instances import load_instance
from service.data_collections.choice import skips
from service.data_collections.lookback import earliest_allowed
from service.data_collections.plan import content_key, planned_segment
from service.data_collections.reuse import load_past
from service.data_collections.windows import Window
from service.schedules.decide import Move
from service.schedules.state import Schedule


async def equip(pool: Pool, schedule: Schedule, move: Move) -> Move:
    """The move, its collections as they are to be recorded."""
    collections = [(id, await _equipped(pool, schedule, collection)) for id, collection in move.collections]
    return msgspec.structs.replace(move, collections=tuple(collections))


async def _equipped(pool: Pool, schedule: Schedule, run: CollectionCreated) -> CollectionCreated:
    instance = await load_instance(pool, run.instance_id, schedule.team_id)
    if instance is None:
        return run  # it was taken away from the team; the run itself will say so
    configured = schedule.configured
    workflow = WorkflowCreated(configured.name, configured.sql_query, configured.declared_parameters)
    key = content_key(run.instance_id, instance, workflow, run.parameters, run.timezone)
    windows = [Window(planned.start, planned.end) for planned in run.segments]
    past = await load_past(pool, schedule.team_id, key, run.timezone, Window(run.window_start, run.window_end))
    left_out = {}
    if run.segmentation_config is not None:
        left_out = skips(windows, run.segmentation_config.reprocess, past, instance.final_after_days)
    segments = [planned_segment(number, window, left_out) for number, window in enumerate(windows, 1)]
    segments += await _refreshed(pool, schedule, configured, run, windows)
    return msgspec.structs.replace(
        run, segments=tuple(segments), content_key=key, sql_checked=run.sql_checked or past.sql_taken
    )


async def _refreshed(
    pool: Pool, schedule: Schedule, configured: Configured, run: CollectionCreated, own: list[Window]
) -> list[PlannedSegment]:
    """The report's segments that ended as many days before the run's day as `refreshDays` says, to be fetched again:
    all but those of the run itself, and those whose days AMC has no more."""
    ages = configured.schedule_config.refresh_days
    if not ages:
        return []
    ends: list[date] = [run.as_of - timedelta(days=age) for age in ages]
    rows = await pool.fetch(
        """
        SELECT DISTINCT ON (w.week_start, w.week_end) w.week_start, w.week_end, w.segment_id
          FROM report_data_collections c JOIN report_data_weeks w USING (collection_id)
         WHERE (c.report_id = $1 OR c.schedule_id = $2 OR c.backfill_of_schedule = $2) AND c.team_id = $3
           AND w.week_end = ANY ($4) AND w.week_start >= $5
           AND w.checksum IS NOT NULL
         ORDER BY w.week_start, w.week_end, w.finished_at DESC
        """,
        schedule.report_id,
        schedule.schedule_id,
        schedule.team_id,
        ends,
        earliest_allowed(run.as_of, schedule.retention_days),
    )
    older = [row for row in rows if Window(row["week_start"], row["week_end"]) not in own]
    return [
        PlannedSegment(new_id(), number, row["week_start"], row["week_end"], supersedes=row["segment_id"])
        for number, row in enumerate(older, len(own) + 1)
    ]
