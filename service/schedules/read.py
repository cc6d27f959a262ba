"""Schedules as the read models have them. Right as of their stream's version: an append that names it fails where
the read models were behind."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec

from db.pool import Connection, Pool
from events.configurations import LookbackConfig, ParameterValues, ScheduleConfig, SegmentationConfig
from events.types.schedule import Configured
from events.types.workflow import DeclaredParameter
from service.data_collections.lookback import RETENTION_DAYS
from service.schedules.state import Planned, Schedule

RECENT = 3
"""Runs whose nominal times a change of rules could bring back: there is one a day at most."""

_SELECT = f"""
SELECT s.*, w.nominal AS waiting_nominal, w.instant AS waiting_instant, w.as_of AS waiting_as_of,
       i.retention_days, b.finished_at AS backfill_ended,
       (SELECT count(*) FROM report_data_collections c
         WHERE c.schedule_id = s.schedule_id AND c.finished_at IS NULL) AS running,
       ARRAY(SELECT r.run_id FROM schedule_runs r WHERE r.schedule_id = s.schedule_id
              ORDER BY r.instant DESC, r.run_id DESC LIMIT {RECENT}) AS recorded
  FROM workflow_schedules s
  LEFT JOIN schedule_runs w ON w.run_id = s.waiting_run_id
  LEFT JOIN amc_instances i ON i.instance_id = s.instance_id
  LEFT JOIN report_data_collections b ON b.collection_id = s.backfill_collection_id
"""  # noqa: S608


async def read_schedules(connection: Connection | Pool, condition: str, *values: Any) -> list[Schedule]:
    """The schedules (`s`) for which the condition holds, with what follows it (`ORDER BY`, `LIMIT`)."""
    return [_schedule(row) for row in await connection.fetch(f"{_SELECT} WHERE {condition}", *values)]


def _schedule(row: asyncpg.Record) -> Schedule:
    waiting = None
    if row["waiting_run_id"] is not None:
        waiting = Planned(row["waiting_run_id"], row["waiting_nominal"], row["waiting_instant"], row["waiting_as_of"])
    return Schedule(
        schedule_id=row["schedule_id"],
        team_id=row["team_id"],
        user_id=row["user_id"],
        report_id=row["report_id"],
        workflow_id=row["workflow_id"],
        version=row["stream_version"],
        status=row["status"],
        held=row["held"],
        configured=Configured(
            name=row["name"],
            instance_id=row["instance_id"],
            sql_query=row["sql_query"],
            declared_parameters=_DECLARED.decode(row["declared_parameters"]),
            parameters=_PARAMETERS.decode(row["parameters"]),
            timezone=row["timezone"],
            lookback_config=_LOOKBACK.decode(row["lookback_config"]),
            schedule_config=_SCHEDULE.decode(row["schedule_config"]),
            segmentation_config=_SEGMENTATION.decode(row["segmentation_config"] or "null"),
        ),
        handled=row["handled_at"],
        next_due=row["next_run_at"],
        run_count=row["run_count"],
        waiting=waiting,
        running=row["running"],
        recorded=frozenset(row["recorded"]),
        backfill_collection_id=row["backfill_collection_id"],
        backfill_ended=row["backfill_ended"],
        retention_days=row["retention_days"] or RETENTION_DAYS,
    )


_DECLARED = msgspec.json.Decoder(tuple[DeclaredParameter, ...])
_PARAMETERS = msgspec.json.Decoder(ParameterValues)
_LOOKBACK: msgspec.json.Decoder[LookbackConfig] = msgspec.json.Decoder(LookbackConfig)
_SCHEDULE: msgspec.json.Decoder[ScheduleConfig] = msgspec.json.Decoder(ScheduleConfig)
_SEGMENTATION: msgspec.json.Decoder[SegmentationConfig | None] = msgspec.json.Decoder(SegmentationConfig | None)
