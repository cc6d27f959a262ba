"""Read model `amc_instances`: where reports may run, and the limits that admission keeps there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from events.envelope import RecordedEvent
from events.types.instance import InstanceAdded
from projections.rows import Rows, Table


class InstanceRow(msgspec.Struct):
    instance_id: str
    team_id: str
    name: str
    advertiser_id: str
    marketplace_id: str
    time_zone: str
    max_concurrent: int
    retention_days: int
    stream_version: int
    created_at: datetime
    updated_at: datetime


INSTANCES = Table("amc_instances", "instance_id", InstanceRow)


def want_instance(event: RecordedEvent, rows: Rows) -> None:
    rows.want(INSTANCES, event.entity_id)


def instance_added(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, InstanceAdded)
    rows.add(
        INSTANCES,
        InstanceRow(
            instance_id=event.entity_id,
            team_id=event.team_id,
            name=data.name,
            advertiser_id=data.advertiser_id,
            marketplace_id=data.marketplace_id,
            time_zone=data.time_zone,
            max_concurrent=data.max_concurrent,
            retention_days=data.retention_days,
            stream_version=event.stream_version,
            created_at=event.recorded_at,
            updated_at=event.recorded_at,
        ),
    )


TABLES = (INSTANCES,)
HANDLERS = {"instance.added": (want_instance, instance_added)}
