"""How long segments take on an instance, from those that it has completed."""

from __future__ import annotations

import math

import msgspec

from db.pool import Pool


class History(msgspec.Struct, frozen=True):
    """What 8 of 10 segments took, in seconds from their dispatch to their stored result."""

    segments: int
    low: float
    high: float


async def segment_history(pool: Pool, instance_id: str, team_id: str) -> History | None:
    """The durations of the newest completed segments, at most 50 of each of the last 20 collections; None
    where there are none."""
    row = await pool.fetchrow(
        """
        SELECT count(*) AS segments, percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY w.seconds) AS range
          FROM (SELECT collection_id FROM report_data_collections
                 WHERE instance_id = $1 AND team_id = $2 ORDER BY created_at DESC LIMIT 20) c
         CROSS JOIN LATERAL (
           SELECT extract(epoch FROM finished_at - dispatched_at)::float AS seconds FROM report_data_weeks
            WHERE collection_id = c.collection_id AND status = 'completed' AND dispatched_at IS NOT NULL
            ORDER BY week_start DESC LIMIT 50) w
        """,
        instance_id,
        team_id,
    )
    assert row is not None
    if not row["segments"]:
        return None
    low, high = row["range"]
    return History(row["segments"], low, high)


def estimate_seconds(history: History, executions: int, at_once: int) -> tuple[int, int]:
    """How long so many executions take, as a range in whole seconds: `at_once` of them run side by side."""
    rounds = math.ceil(executions / at_once)
    return math.floor(rounds * history.low), math.ceil(rounds * history.high)
