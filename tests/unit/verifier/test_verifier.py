"""What the verifier says of a bundle whose files somebody has altered: where, why, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from report_builder_verify.__main__ import main

from events.tree.merkle import leaf_hash
from events.tree.notes import Note, SigningKey
from tests.bundles import NAME, Parts, SampleLog, sample_event, sample_events

EVENTS = 700
HEADS = (0, 1, 100, 256, 300, 301, 512, 690, EVENTS)
KEY = SigningKey.generate(NAME)
LOG = SampleLog(list(sample_events(EVENTS)), HEADS, KEY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return LOG.bundle(tmp_path_factory.mktemp("bundle") / "whole.zip")


@pytest.fixture
def parts(whole: Path) -> Parts:
    return Parts.of(whole)


@pytest.fixture
def verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Verifies the parts as a file; answers the exit code and the verdict."""

    def verify(parts: Parts, *arguments: str, key: SigningKey = KEY) -> tuple[int, Any]:
        file = parts.write(tmp_path / "bundle.zip")
        code = main([str(file), "--key", key.verifier.text, "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return verify


def altered(position: int, part: int, old: bytes, new: bytes) -> Callable[[Parts], None]:
    """Alters a line of an event: 0 its leaf, 1 its configuration, 2 its metadata."""

    def alter(parts: Parts) -> None:
        events = parts.events
        line = events[position - 1][part]
        assert old in line
        events[position - 1][part] = line.replace(old, new, 1)
        parts.events = events

    return alter


def events_changed(change: Callable[[list[list[bytes]]], object]) -> Callable[[Parts], None]:
    def alter(parts: Parts) -> None:
        events = parts.events
        change(events)
        parts.events = events

    return alter


def swap(events: list[list[bytes]]) -> None:
    events[309], events[609] = events[609], events[309]


def swap_contents(events: list[list[bytes]]) -> None:
    """Two events change places, and their positions and versions with them."""
    for here, there in ((309, 609), (609, 309)):
        leaf = msgspec.json.decode(LOG.leaves[there])
        of_place = msgspec.json.decode(LOG.leaves[here])
        for name in ("position", "stream", "stream_version", "recorded_at"):
            leaf[name] = of_place[name]
        events[here] = [msgspec.json.encode(leaf), *LOG.bundle_lines(there)[1:]]


def renumber(events: list[list[bytes]]) -> None:
    """Drops one, and moves all later ones up."""
    del events[309]
    for index in range(309, len(events)):
        leaf = msgspec.json.decode(events[index][0])
        events[index][0] = msgspec.json.encode(leaf | {"position": index + 1})


def add_last(events: list[list[bytes]]) -> None:
    log = SampleLog([sample_event(EVENTS + 1)], (1,), KEY)
    events.append(log.bundle_lines(0))


def flip(name: str, at: int) -> Callable[[Parts], None]:
    def alter(parts: Parts) -> None:
        content = bytearray(parts[name])
        content[at] ^= 1
        parts[name] = bytes(content)

    return alter


def tile_and_leaf(parts: Parts) -> None:
    """Alters an event and its hash in the tile alike."""
    altered(310, 0, b'"stream":"segment-29"', b'"stream":"segment-28"')(parts)
    events = parts.events
    leaf = events[309][0].replace(b'"stream_version":8', b'"stream_version":9')
    events[309][0] = leaf
    parts.events = events
    tile = parts["tile/0/001"]
    parts["tile/0/001"] = tile[: 53 * 32] + leaf_hash(leaf) + tile[54 * 32 :]


def sign_anew(parts: Parts) -> None:
    other = SigningKey.generate(NAME)
    notes = [note.partition("\n\n")[0] + "\n" for note in parts.heads]
    parts.heads = [str(Note(text, (other.sign(text),))) for text in notes]
    parts["keys.txt"] = f"{other.verifier.text}\n".encode()


def sign_last_anew(parts: Parts) -> None:
    whole = parts.heads
    sign_anew(parts)
    parts.heads = [*whole[:-1], parts.heads[-1]]


def head_edited(parts: Parts) -> None:
    heads = parts.heads
    heads[4] = heads[4].replace("\n300\n", "\n299\n")
    parts.heads = heads


FORGERIES: dict[str, tuple[Callable[[Parts], None], int, int]] = {
    "the leaf's epoch": (altered(310, 0, b'"epoch":1', b'"epoch":2'), 310, 310),
    "its position": (altered(310, 0, b'"position":310', b'"position":311'), 310, 310),
    "its id": (altered(310, 0, LOG.leaves[309][40:50], LOG.leaves[309][40:49] + b"f"), 310, 310),
    "its stream": (altered(310, 0, b"segment-29", b"segment-92"), 310, 310),
    "its stream's version": (altered(310, 0, b'"stream_version":8', b'"stream_version":7'), 310, 310),
    "its event type": (altered(310, 0, b"segment.dispatched", b"segment.completed"), 310, 310),
    "its schema version": (altered(310, 0, b'"schema_version":1', b'"schema_version":2'), 310, 310),
    "its team": (altered(310, 0, b"team-1", b"team-2"), 310, 310),
    "its user": (altered(310, 0, b'"user_id":"0', b'"user_id":"1'), 310, 310),
    "its workflow": (altered(310, 0, b'"workflow_id":null', b'"workflow_id":"w"'), 310, 310),
    "its step": (altered(310, 0, b'"step_completed":null', b'"step_completed":"review"'), 310, 310),
    "its time, a little": (altered(310, 0, b".000000Z", b".000001Z"), 310, 310),
    "its time, to before": (altered(310, 0, b"2026-", b"2025-"), 310, 310),
    "its configuration's hash": (altered(310, 0, b'"configuration_sha256":"', b'"configuration_sha256":"0'), 310, 310),
    "a space in its leaf": (altered(310, 0, b',"id"', b', "id"'), 310, 310),
    "its configuration": (altered(310, 1, b"310", b"311"), 310, 310),
    "its configuration, a line break": (altered(310, 1, b":310", b":\n310"), 310, 310),
    "its metadata": (altered(310, 2, b'"c"', b'"d"'), 310, 310),
    "the first event's metadata": (altered(1, 2, b'"c"', b'"d"'), 1, 1),
    "the last event's metadata": (altered(EVENTS, 2, b'"c"', b'"d"'), EVENTS, EVENTS),
    "two events swapped": (events_changed(swap), 310, 310),
    "two events swapped with their surroundings": (events_changed(swap_contents), 310, 310),
    "the last one dropped": (events_changed(lambda events: events.pop()), EVENTS, EVENTS),
    "one in the middle dropped": (events_changed(lambda events: events.pop(309)), 310, 310),
    "one dropped and the others moved up": (events_changed(renumber), 310, 310),
    "one added at the end": (events_changed(add_last), EVENTS + 1, EVENTS + 1),
    "one given twice": (events_changed(lambda events: events.insert(310, events[309])), 311, 311),
    "the tile of an event": (flip("tile/0/001", 53 * 32), 310, 310),
    "a tile's length": (lambda parts: parts.update({"tile/0/002.p/188": parts["tile/0/002.p/188"] + b"\0"}), 513, 700),
    "a tile of the next level": (flip("tile/1/000.p/2", 32), 257, 512),
    "an event and its tile alike": (tile_and_leaf, 302, 349),
    "all heads signed with another key": (sign_anew, 1, EVENTS),
    "the last head signed with another key": (sign_last_anew, 691, EVENTS),
    "a head's size": (head_edited, 257, 299),
}


def test_an_untouched_bundle_is_sound(parts: Parts, verdict: Any) -> None:
    code, found = verdict(parts)
    assert (code, found["outcome"], found["heads_checked"]) == (0, "sound", len(HEADS))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_was_altered_is_found_where_it_is(forgery: str, parts: Parts, verdict: Any) -> None:
    alter, first, last = FORGERIES[forgery]
    alter(parts)
    code, found = verdict(parts)
    assert (code, found["first"], found["last"]) == (1, first, last), found["reason"]
    assert found["reason"]
