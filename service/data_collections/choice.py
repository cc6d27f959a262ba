"""Which segments of a window are run, and which are not because of what is there already. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Literal

import msgspec

from events.types.collection import ReusedResult, SkipReason
from service.data_collections.windows import Window

Reprocess = Literal["missing", "failed", "all"]


class Existing(msgspec.Struct, frozen=True):
    """A completed segment with the same content key. `executed` is the day, in the report's zone, on which its
    execution was created."""

    window: Window
    executed: date
    result: ReusedResult

    def final(self, after_days: int) -> bool:
        """Whether Amazon restates it no more: it was executed that many days after its end, or later.
        Before, it is provisional."""
        return (self.executed - self.window.end).days >= after_days


class Past(msgspec.Struct, frozen=True):
    """What has become of equal segments before: the newest result of each window, the windows whose last attempt
    failed, and whether AMC has ever taken the SQL with these parameters."""

    existing: tuple[Existing, ...] = ()
    failed: frozenset[Window] = frozenset()
    sql_taken: bool = False


class Skip(msgspec.Struct, frozen=True):
    """Why a segment is not run, and the result that stands for it, if there is one."""

    reason: SkipReason
    result: ReusedResult | None


def skips(
    windows: Iterable[Window],
    reprocess: Reprocess,
    past: Past,
    final_after_days: int,
    named: Collection[date] | None = None,
) -> dict[Window, Skip]:
    """The segments that are not run. `named` are the first days of the only ones wanted; those run whatever there is.

    `missing` leaves out what has a final result, `failed` all but what has failed last, `all` nothing.
    """
    known = {found.window: found for found in past.existing}
    found = {}
    for window in windows:
        existing = known.get(window)
        final = existing is not None and existing.final(final_after_days)
        if named is not None:
            runs, without = window.start in named, "not_named"
        elif reprocess == "failed":
            runs, without = window in past.failed, "not_failed"
        else:
            runs, without = reprocess == "all" or not final, "final"
        if not runs:
            reason = "final" if final else "has_result" if existing else without
            found[window] = Skip(reason, existing.result if existing else None)  # type: ignore[arg-type]
    return found
