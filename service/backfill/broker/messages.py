"""What travels through the broker: which step of which segment to take next, and nothing more.

A message carries no state to act on: the worker loads the segment from the log, and the fence tells it
whether this message is still the newest order. So any message may be lost, repeated or late.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Lane = Literal["interactive", "bulk"]
Step = Literal["submit", "poll", "fetch"]

LANES: tuple[Lane, ...] = ("interactive", "bulk")
VERSION = 1


class UnreadableMessage(Exception):
    """A body that is no message of a version known here; it belongs among the dead letters."""


class StepMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The order to take one step of one segment.

    `fence` is the stream version of the segment's last `segment.dispatched`, `sequence` counts the orders
    sent under it: together they let a worker drop what it has already done.
    """

    segment_id: str
    collection_id: str
    team_id: str
    step: Step
    fence: int
    sequence: int
    lane: Lane
    version: int = VERSION


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StepMessage)


def encode(message: StepMessage) -> bytes:
    """The message as JSON."""
    return _encoder.encode(message)


def resent(message: StepMessage) -> StepMessage:
    """The same order once more, and not as a copy of what was begun."""
    return msgspec.structs.replace(message, sequence=message.sequence + 1)


def decode(body: bytes) -> StepMessage:
    """The message that these bytes hold.

    Raises UnreadableMessage for anything but a whole message of this version: an unknown field may change
    what the message means, so it is not read past.
    """
    try:
        message = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise UnreadableMessage(str(error)) from None
    if message.version != VERSION:
        raise UnreadableMessage(f"version {message.version}, only {VERSION} is known here")
    return message
