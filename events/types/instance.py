"""Events of `instance-` streams: the AMC instances that a team may run on, and whom else it lets."""

from __future__ import annotations

import msgspec


class InstanceAdded(msgspec.Struct, frozen=True):
    """An AMC instance. `time_zone` is its advertiser's; the limits are this service's own towards it.

    The team of the event owns it. `account_id` names the login that its work runs with. Results are final that
    were computed `final_after_days` after their segment's end or later. `max_executions_per_day` counts the
    attempts begun in a day of UTC; null sets no limit.
    """

    name: str
    advertiser_id: str
    marketplace_id: str
    time_zone: str
    max_concurrent: int = 10
    retention_days: int = 425
    account_id: str = "default"
    final_after_days: int = 14
    max_executions_per_day: int | None = None


class InstanceChanged(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be changed, as it stands from here on."""

    name: str
    max_concurrent: int
    retention_days: int
    final_after_days: int
    max_executions_per_day: int | None


class InstanceGranted(msgspec.Struct, frozen=True):
    """Another team may see it and run on it."""

    team_id: str


class InstanceGrantRevoked(msgspec.Struct, frozen=True):
    """That team may do so no more; what it has submitted goes on."""

    team_id: str


EVENTS = {
    ("instance.added", 1): InstanceAdded,
    ("instance.changed", 1): InstanceChanged,
    ("instance.granted", 1): InstanceGranted,
    ("instance.grant_revoked", 1): InstanceGrantRevoked,
}
