"""Plain English for dates and numbers. Not strftime: names must not follow the machine's locale."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def date_text(day: date) -> str:
    """`8 March 2026`."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def range_text(first: date, last: date) -> str:
    """`1 to 7 March 2026`, `28 February to 6 March 2026`, `30 December 2025 to 5 January 2026`; one day is itself."""
    if first == last:
        return date_text(first)
    if first.year != last.year:
        return f"{date_text(first)} to {date_text(last)}"
    if first.month != last.month:
        return f"{first.day} {MONTHS[first.month - 1]} to {date_text(last)}"
    return f"{first.day} to {date_text(last)}"


def counted(number: int, unit: str) -> str:
    """`1 day`, `1,000 days`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *some, last = words
    return f"{', '.join(some)} and {last}" if some else last
