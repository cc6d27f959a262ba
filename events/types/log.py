"""Events of `log-` streams: what was done to the log's own surroundings."""

from __future__ import annotations

import msgspec


class ProjectionRebuilt(msgspec.Struct, frozen=True):
    """A projection was built again from position 1 and replaced the live one at `position`.

    The counts are of live rows that no event explained, rows that were missing, and rows that differed.
    """

    projection: str
    position: int
    rows_removed: int
    rows_added: int
    rows_changed: int


EVENTS = {("log.projection_rebuilt", 1): ProjectionRebuilt}
