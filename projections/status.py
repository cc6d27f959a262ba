"""Where each projection stands, as the database has it: for whoever asks, whichever process does the work."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from db.pool import Connection
from events.reader import read_head, read_last
from events.types.log import ProjectionRebuilt
from projections.activity import BLOCK
from projections.rebuild import STREAM

State = Literal["up_to_date", "behind", "stopped"]


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`lag` is how many events it has not applied. Where it is stopped, `stopped_at` is the position of the event that
    it cannot apply and `stopped_by` why, since the last moment. Times are in UTC."""

    projection: str
    position: int
    lag: int
    state: State
    updated_at: datetime | None = None
    stopped_at: int | None = None
    stopped_by: str | None = None
    stopped_since: datetime | None = None


class RebuildStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild or a verification has built so far. `running`: it is at work; else it was ended, and the next one
    goes on from `position`, if it is of the same release."""

    position: int
    target: int
    running: bool
    started_at: datetime
    updated_at: datetime


class LastRebuild(msgspec.Struct, frozen=True, kw_only=True):
    """The newest `log.projection_rebuilt`."""

    recorded_at: datetime
    rebuilt: ProjectionRebuilt


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `head` is the last position of the log."""

    head: int
    projections: list[ProjectionStatus]
    rebuild: RebuildStatus | None
    last_rebuild: LastRebuild | None


async def read_status(connection: Connection) -> Status:
    """Where they stand now."""
    rows = await connection.fetch("SELECT * FROM projection_checkpoints ORDER BY projection")
    indexed: int = await connection.fetchval(
        "SELECT coalesce(max(block) + 1, 0) FROM activity_blocks WHERE facet = 'all' AND value = ''"
    )
    head = await read_head(connection)  # after the checkpoints, which are not beyond it
    # The index of activity has full blocks alone; what is behind them is read from the log itself.
    blocks = ProjectionStatus(
        projection="activity_blocks",
        position=indexed * BLOCK,
        lag=head - indexed * BLOCK,
        state="behind" if indexed < head // BLOCK else "up_to_date",
    )
    return Status(
        head=head,
        projections=[*(_status(row, head) for row in rows), blocks],
        rebuild=await _rebuild(connection),
        last_rebuild=await _last_rebuild(connection),
    )


def _status(row: asyncpg.Record, head: int) -> ProjectionStatus:
    position: int = row["position"]
    status = ProjectionStatus(
        projection=row["projection"],
        position=position,
        lag=head - position,
        state="behind" if position < head else "up_to_date",
        updated_at=row["updated_at"],
    )
    if row["stopped_at"] is None or row["stopped_at"] <= position:
        return status
    return msgspec.structs.replace(
        status,
        state="stopped",
        stopped_at=row["stopped_at"],
        stopped_by=row["stopped_by"],
        stopped_since=row["stopped_since"],
    )


REBUILD = """
SELECT p.position, p.target, p.started_at, p.updated_at,
       EXISTS (SELECT FROM pg_locks l
                WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                  AND (l.classid::bigint << 32 | l.objid::bigint) = hashtext('report_builder_rebuild')) AS running
  FROM report_builder_rebuild.rebuild_progress p
"""


async def _rebuild(connection: Connection) -> RebuildStatus | None:
    row = await connection.fetchrow(REBUILD)
    return None if row is None else RebuildStatus(**row)


async def _last_rebuild(connection: Connection) -> LastRebuild | None:
    event = await read_last(connection, STREAM)
    if event is None or not isinstance(event.data, ProjectionRebuilt):
        return None
    return LastRebuild(recorded_at=event.recorded_at, rebuilt=event.data)
