"""Read models `amc_instances` and `instance_grants`: where reports may run, whom each instance lets, and the
limits that admission keeps there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from events.envelope import RecordedEvent
from events.types.instance import InstanceAdded, InstanceChanged
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
    account_id: str
    final_after_days: int
    max_executions_per_day: int | None
    stream_version: int
    created_at: datetime
    updated_at: datetime


class GrantRow(msgspec.Struct):
    grant_id: str
    instance_id: str
    team_id: str
    granted_at: datetime
    revoked_at: datetime | None = None


INSTANCES = Table("amc_instances", "instance_id", InstanceRow)
GRANTS = Table("instance_grants", "grant_id", GrantRow)


def want_instance(event: RecordedEvent, rows: Rows) -> None:
    rows.want(INSTANCES, event.entity_id)


def want_grant(event: RecordedEvent, rows: Rows) -> None:
    rows.want(INSTANCES, event.entity_id)
    rows.want(GRANTS, _grant_id(event))


def _grant_id(event: RecordedEvent) -> str:
    """No instance's id has a slash."""
    return f"{event.entity_id}/{event.data.team_id}"  # type: ignore[attr-defined]


def instance_added(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, InstanceAdded)
    rows.add(
        INSTANCES,
        InstanceRow(
            instance_id=event.entity_id,
            team_id=event.team_id,
            **msgspec.structs.asdict(data),
            stream_version=event.stream_version,
            created_at=event.recorded_at,
            updated_at=event.recorded_at,
        ),
    )


def instance_changed(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, InstanceChanged)
    instance = _moved_instance(event, rows)
    for name, value in msgspec.structs.asdict(data).items():
        setattr(instance, name, value)


def instance_granted(event: RecordedEvent, data: Any, rows: Rows) -> None:
    _moved_instance(event, rows)
    if (again := rows.find(GRANTS, _grant_id(event))) is None:
        rows.add(GRANTS, GrantRow(_grant_id(event), event.entity_id, data.team_id, event.recorded_at))
    else:
        again.granted_at, again.revoked_at = event.recorded_at, None


def grant_revoked(event: RecordedEvent, data: Any, rows: Rows) -> None:
    _moved_instance(event, rows)
    rows.change(GRANTS, _grant_id(event)).revoked_at = event.recorded_at


def _moved_instance(event: RecordedEvent, rows: Rows) -> InstanceRow:
    instance = rows.change(INSTANCES, event.entity_id)
    instance.stream_version = event.stream_version
    instance.updated_at = event.recorded_at
    return instance


TABLES = (INSTANCES, GRANTS)
HANDLERS = {
    "instance.added": (want_instance, instance_added),
    "instance.changed": (want_instance, instance_changed),
    "instance.granted": (want_grant, instance_granted),
    "instance.grant_revoked": (want_grant, grant_revoked),
}
