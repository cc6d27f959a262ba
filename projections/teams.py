"""Read model `team_limits`: how much of each team may be in flight at once, for admission."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from events.envelope import RecordedEvent
from events.types.team import TeamLimitsSet
from projections.rows import Rows, Table


class TeamLimitsRow(msgspec.Struct):
    team_id: str
    max_concurrent: int | None
    max_concurrent_per_user: int | None
    stream_version: int
    updated_at: datetime


LIMITS = Table("team_limits", "team_id", TeamLimitsRow)


def want_limits(event: RecordedEvent, rows: Rows) -> None:
    rows.want(LIMITS, event.entity_id)


def limits_set(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, TeamLimitsSet)
    if (row := rows.find(LIMITS, event.entity_id)) is None:
        row = TeamLimitsRow(event.entity_id, None, None, event.stream_version, event.recorded_at)
        rows.add(LIMITS, row)
    row.max_concurrent, row.max_concurrent_per_user = data.max_concurrent, data.max_concurrent_per_user
    row.stream_version, row.updated_at = event.stream_version, event.recorded_at


TABLES = (LIMITS,)
HANDLERS = {"team.limits_set": (want_limits, limits_set)}
