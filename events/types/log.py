"""Events of `log-` streams: what was done to the log's own surroundings."""

from __future__ import annotations

from datetime import datetime

import msgspec

from events.personal import OtherText


class ProjectionRebuilt(msgspec.Struct, frozen=True):
    """A projection was built again from position 1 and replaced the live one at `position`.

    The counts are of live rows that no event explained, rows that were missing, and rows that differed. `digest` is a
    SHA-256 of the rows as they now are, equal for equal rows; `by` the database's role that did it; `reason` what was
    said at the command line, by no person that the service knows, so that it stands as it is. Null, all three, in what
    the first releases have recorded.
    """

    projection: str
    position: int
    rows_removed: int
    rows_added: int
    rows_changed: int
    digest: str | None = None
    by: str | None = None
    reason: OtherText | None = None


class KeyRotated(msgspec.Struct, frozen=True):
    """Tree heads that cover this event are signed with `key` in place of `previous`, public keys both; the first one
    with both, unless the private half of the previous one was `lost`."""

    key: str
    previous: str
    lost: bool = False


class EpochBegun(msgspec.Struct, frozen=True):
    """The log was restored to an earlier state, and goes on from there in this epoch; the event is its first.

    `proven_head` is the last signed head that what was restored was shown to agree with, of `proven_size` events:
    null and 0 where there is none. The last of these events was recorded at `proven_at`. `last_head` is the last one
    that was signed before the restore: what it covers beyond `proven_size` is gone, or is not what was signed.
    """

    epoch: int
    proven_size: int
    proven_head: str | None
    proven_at: datetime | None
    last_head: str


EVENTS = {
    ("log.projection_rebuilt", 1): ProjectionRebuilt,
    ("log.key_rotated", 1): KeyRotated,
    ("log.epoch_begun", 1): EpochBegun,
}
