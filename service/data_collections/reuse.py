"""Which segments of a window are there already: completed before, with all that decides their result equal."""

from __future__ import annotations

from datetime import date

import msgspec

from db.pool import Pool
from events.types.collection import ReusedResult
from service.data_collections.windows import Window, today


class Existing(msgspec.Struct, frozen=True):
    """A completed segment with the same content key. `executed` is the day, in the report's zone, on which its
    execution was created."""

    window: Window
    executed: date
    result: ReusedResult

    def final(self, after_days: int) -> bool:
        """Whether Amazon restates it no more: it was executed that many days after its end, or later.
        Before, it is provisional."""
        return (self.executed - self.window.end).days >= after_days


async def existing_segments(pool: Pool, team_id: str, key: str, timezone: str, within: Window) -> list[Existing]:
    """The completed segments of the team's collections with this content key that lie in the window; of equal
    windows the one that was executed last."""
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
    return [
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
    ]
