"""What a run is called, and the day that it counts from: both follow from its schedule and nominal time."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

from service.data_collections.windows import first_instant, today
from service.schedules.occurrences import DAY, Occurrence, ScheduleSpec


def run_key(schedule_id: UUID, nominal: datetime) -> str:
    """The run as text, `<schedule>/<YYYY-MM-DDTHH:MM>`: the same for whoever computes it, after any crash."""
    return f"{schedule_id}/{nominal.isoformat(timespec='minutes')}"


def run_id(schedule_id: UUID, nominal: datetime) -> UUID:
    """The run as a UUIDv5, made of the same two."""
    return uuid5(schedule_id, nominal.isoformat(timespec="minutes"))


def as_of(spec: ScheduleSpec, occurrence: Occurrence, report_zone: str) -> date:
    """The day that the run's lookback counts from: in the report's zone, the date of its nominal instant.

    A run that a gap shifted past midnight (Nuuk, 2024-03-30 23:30) counts from the last moment of its own
    day, so that no day's window comes twice while another's is lost. Jitter and lateness never move it.
    """
    nominal = occurrence.nominal.date()
    if occurrence.local.date() == nominal:
        return today(report_zone, occurrence.instant)
    return today(report_zone, first_instant(nominal + DAY, spec.zone_name) - timedelta(seconds=1))
