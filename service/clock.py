"""The one clock: what day and hour it is for occurrences and `as_of`.

Leases, tokens, back-off and `recorded_at` do not use it: they run on the database's time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from events.configurations import zone


def now() -> datetime:
    """The instant, in UTC."""
    return datetime.now(UTC)


def today(zone_name: str) -> date:
    """The calendar day in the zone. Raises UnknownZone."""
    return now().astimezone(zone(zone_name)).date()
