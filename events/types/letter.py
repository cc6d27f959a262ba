"""Events of `letter-` streams: what people did about dead letters, the orders that the broker gave up.

The letter itself is the broker's, and may be gone with it; what is recorded here says which one it was. Its team is
that of the segment it was for, `system` where it was for none.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from events.personal import OtherText, PersonalText


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """Which one it was. `died_at` is UTC, null where the broker does not say; `body_sha256` is of its bytes, as
    whoever wrote them may have put anything there; the segment is null where they cannot be read, or name none."""

    queue: str
    reason: OtherText
    died_at: datetime | None
    body_sha256: str
    body_bytes: int
    segment_id: UUID | None


class LetterResent(msgspec.Struct, frozen=True):
    """A person has it tried again. `resumed`: its segment had stalled and goes on, which sends a new order in its
    place; else the letter itself goes back to its queue."""

    letter: Letter
    resumed: bool
    reason: PersonalText | None


class LetterDiscarded(msgspec.Struct, frozen=True):
    """A person has it deleted. Its segment stays as it stands."""

    letter: Letter
    reason: PersonalText | None


EVENTS = {
    ("letter.resent", 1): LetterResent,
    ("letter.discarded", 1): LetterDiscarded,
}
