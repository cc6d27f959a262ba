"""What has become of equal segments before: completed or failed, with all that decides their result equal."""

from __future__ import annotations

from db.pool import Pool
from events.types.collection import ReusedResult
from service.data_collections.choice import Existing, Past
from service.data_collections.windows import Window, today


async def load_past(pool: Pool, team_id: str, key: str, timezone: str, within: Window) -> Past:
    """The past of the segments in the window, by the team's collections with this content key; of equal windows the
    result that was executed last."""
    rows = await pool.fetch(
        """
        SELECT DISTINCT ON (w.week_start, w.week_end)
               w.week_start, w.week_end, w.submitted_at, w.segment_id, w.collection_id, w.row_count, w.result_bytes,
               w.checksum, w.null_count
          FROM report_data_collections c JOIN report_data_weeks w USING (collection_id)
         WHERE c.team_id = $1 AND c.content_key = $2
           AND w.status = 'completed' AND w.week_start >= $3 AND w.week_end <= $4
         ORDER BY w.week_start, w.week_end, w.submitted_at DESC
        """,
        team_id,
        key,
        within.start,
        within.end,
    )
    failed = await pool.fetch(
        """
        SELECT week_start, week_end
          FROM (SELECT DISTINCT ON (w.week_start, w.week_end) w.week_start, w.week_end, w.status
                  FROM report_data_collections c JOIN report_data_weeks w USING (collection_id)
                 WHERE c.team_id = $1 AND c.content_key = $2
                   AND w.status IN ('completed', 'failed') AND w.week_start >= $3 AND w.week_end <= $4
                 ORDER BY w.week_start, w.week_end, w.finished_at DESC) newest
         WHERE status = 'failed'
        """,
        team_id,
        key,
        within.start,
        within.end,
    )
    taken = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM report_data_collections WHERE team_id = $1 AND content_key = $2 AND sql_taken)",
        team_id,
        key,
    )
    existing = (
        Existing(
            Window(row["week_start"], row["week_end"]),
            today(timezone, row["submitted_at"]),
            ReusedResult(
                row["segment_id"],
                row["collection_id"],
                row["row_count"],
                row["result_bytes"],
                row["checksum"],
                row["null_count"],
            ),
        )
        for row in rows
    )
    return Past(tuple(existing), frozenset(Window(row["week_start"], row["week_end"]) for row in failed), taken)
