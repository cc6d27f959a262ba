"""What may travel through the broker, and what is refused on arrival."""

from __future__ import annotations

import msgspec
import pytest

from service.backfill.broker.messages import StepMessage, UnreadableMessage, decode, encode

MESSAGE = StepMessage(
    segment_id="segment-1",
    collection_id="collection-1",
    team_id="team-1",
    step="submit",
    fence=3,
    sequence=1,
    lane="bulk",
)


def changed(**fields: object) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(MESSAGE), **fields})


def test_a_message_comes_back_as_it_was_sent() -> None:
    assert decode(encode(MESSAGE)) == MESSAGE


def test_the_version_is_written_out() -> None:
    assert msgspec.json.decode(encode(MESSAGE))["version"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[]",
        b"{}",
        changed(priority=9),
        changed(version=2),
        changed(version="1"),
        changed(step="cancel"),
        changed(lane="express"),
        changed(fence=None),
    ],
)
def test_what_is_not_exactly_a_message_of_this_version_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        decode(body)
