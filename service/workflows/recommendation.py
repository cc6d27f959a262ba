"""Which segmentation to recommend for a window, and why. Pure; a recommendation is never applied by itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from events.configurations import SegmentationConfig
from service.data_collections.segmentation import segments
from service.data_collections.windows import Window
from service.workflows.inspect import Inspection

SHORT_DAYS = 31
"""Windows up to here run as one execution, unless something speaks against it."""
WHOLE_DAYS = 92
"""So long a window is still run whole for the sake of distinct counts."""
WEEKLY_DAYS = 26 * 7
"""Up to here weeks are few enough; longer windows are cut into months."""
OFTEN = 3
"""From so many time-outs on they are the instance's rule, not an accident."""

Cut = Literal["whole", "monthly", "weekly", "daily"]
_CUTS: tuple[Cut, ...] = ("whole", "monthly", "weekly", "daily")
_LONGEST = {"monthly": 31, "weekly": 7, "daily": 1}


class RunHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What the instance's executions have shown: how many AMC timed out, and over how many days the shortest of
    their windows was, where that is known."""

    timed_out: int = 0
    shortest_timed_out_days: int | None = None


def recommend_segmentation(
    window: Window, inspection: Inspection, history: RunHistory | None = None
) -> tuple[SegmentationConfig | None, str]:
    """The segmentation, None for one execution over the whole window, and a sentence that says why.

    1. A result with distinct counts is cut as little as possible, as those of segments do not add up: not at
       all up to 92 days, beyond that into months.
    2. Otherwise windows up to 31 days run whole, up to 26 weeks in weeks, beyond that in months.
    3. Over tables that Amazon warns about no execution is longer than a week.
    4. Where the instance has timed out 3 times or more, executions are shorter than the shortest window that
       did; where that is not known, one size smaller than by the other rules, but no shorter than weeks.

    The later rule wins; days are the smallest segments there are.
    """
    history = history or RunHistory()
    cut, reason = _by_result(window, inspection)
    tables = inspection.tables_that_time_out
    if tables and _longest(cut, window) > _LONGEST["weekly"]:
        cut = "weekly"
        reason = f"Amazon warns that workflows on {_listed(tables)} time out over longer windows"
    if history.timed_out >= OFTEN and (smaller := _within_history(cut, window, history)) != cut:
        cut = smaller
        days = history.shortest_timed_out_days
        reason = f"on this instance {history.timed_out} executions have timed out" + (
            f", the shortest over {_days(days)}" if days else ""
        )
    if cut == "whole":
        return None, f"One execution over {_days(window.days)}: {reason}."
    count = len(segments(window, cut))
    if count == 1:
        return None, f"One execution over {_days(window.days)}, which is no longer than one segment would be."
    return SegmentationConfig(type=cut), f"{count} {cut} segments over {_days(window.days)}: {reason}."


def _by_result(window: Window, inspection: Inspection) -> tuple[Cut, str]:
    if inspection.distinct_counts:
        counts = f"distinct counts ({_listed(inspection.distinct_counts)}) of segments do not add up"
        if window.days <= WHOLE_DAYS:
            return "whole", counts
        return "monthly", f"{counts}, and a longer execution might time out"
    if window.days <= SHORT_DAYS:
        return "whole", "so short a window needs no cutting"
    if window.days <= WEEKLY_DAYS:
        return "weekly", "each finishes soon, and can be run again alone"
    return "monthly", f"weeks would be {len(segments(window, 'weekly'))} executions"


def _within_history(cut: Cut, window: Window, history: RunHistory) -> Cut:
    smaller = _CUTS[_CUTS.index(cut) :]
    if history.shortest_timed_out_days is None:
        known = [each for each in smaller if each != "daily"]
        return next((each for each in known if _longest(each, window) < _longest(cut, window)), cut)
    return next((each for each in smaller if _longest(each, window) < history.shortest_timed_out_days), "daily")


def _longest(cut: Cut, window: Window) -> int:
    """The days of the longest segment."""
    return window.days if cut == "whole" else min(_LONGEST[cut], window.days)


def _days(count: int | None) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
