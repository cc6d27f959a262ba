"""How a collection is run, in plain English, for its review."""

from __future__ import annotations

from events.configurations import SegmentationConfig
from service.words import WEEKDAYS, counted


def segmentation_sentences(config: SegmentationConfig | None, max_concurrent: int) -> list[str]:
    """The rules of a segmentation, one sentence each; `max_concurrent` is the instance's own limit."""
    if config is None:
        return ["The whole window is one AMC execution."]
    unit = {"daily": "day", "monthly": "calendar month"}.get(config.type)
    if unit is None:
        unit = f"week that begins on a {WEEKDAYS[(config.week_start or 1) - 1]}"
    order = "newest" if config.order == "newest_first" else "oldest"
    at_once = min(config.parallel_limit, max_concurrent)
    found = [
        f"One AMC execution for each {unit}, the {order} first, at most {at_once} at once.",
        "A segment that fails in a way that may pass is tried up to "
        + (f"{counted(config.max_attempts, 'time')}." if config.retry_failed else "once."),
    ]
    found.append(
        {
            "missing": "Segments that are there already, and final, are not run again.",
            "failed": "Only segments whose last attempt failed are run.",
            "all": "Every segment is run again, also those that are there already.",
        }[config.reprocess]
    )
    return found
