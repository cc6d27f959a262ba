"""Events of `person-` streams: what was done about a person's data, by their id. None of them says who it is.

Whoever records a personal text names the version of its author's stream in the same append: what was sealed with a key
that an erasure has taken meanwhile is refused.
"""

from __future__ import annotations

import msgspec

from events.personal import PersonalText


class HoldPlaced(msgspec.Struct, frozen=True):
    """Nothing of the person may be erased from here on: a legal hold. `reason` is what was said."""

    reason: PersonalText


class HoldLifted(msgspec.Struct, frozen=True):
    """The hold is over."""

    reason: PersonalText | None


class Erased(msgspec.Struct, frozen=True):
    """The person's key was deleted in the transaction that recorded this, and with it what they were called and how
    they signed in: what they wrote can be read nowhere any more. `reason` is the text of who did it."""

    reason: PersonalText | None


EVENTS = {
    ("person.hold_placed", 1): HoldPlaced,
    ("person.hold_lifted", 1): HoldLifted,
    ("person.erased", 1): Erased,
}
