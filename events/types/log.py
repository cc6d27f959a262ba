"""Events of `log-` streams: what was done to the log's own surroundings."""

from __future__ import annotations

import msgspec


class ProjectionRebuilt(msgspec.Struct, frozen=True):
    """A projection was built again from position 1 and replaced the live one at `position`.

    The counts are of live rows that no event explained, rows that were missing, and rows that differed. `digest` is a
    SHA-256 of the rows as they now are, equal for equal rows; `by` the database's role that did it; `reason` what the
    person said. Null, all three, in what the first releases have recorded.
    """

    projection: str
    position: int
    rows_removed: int
    rows_added: int
    rows_changed: int
    digest: str | None = None
    by: str | None = None
    reason: str | None = None


EVENTS = {("log.projection_rebuilt", 1): ProjectionRebuilt}
