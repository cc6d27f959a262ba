"""Events of `instance-` streams: the AMC instances that a team may run on."""

from __future__ import annotations

import msgspec


class InstanceAdded(msgspec.Struct, frozen=True):
    """An AMC instance. `time_zone` is its advertiser's; the limits are this service's own towards it."""

    name: str
    advertiser_id: str
    marketplace_id: str
    time_zone: str
    max_concurrent: int = 10
    retention_days: int = 425
    final_after_days: int = 14


EVENTS = {("instance.added", 1): InstanceAdded}
