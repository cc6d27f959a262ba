"""Events that are added a run at a time come to the same as each by itself, whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from events.tree.leaf import leaf_of
from report_builder_verify.events import BadEvent, Events
from tests.bundles import sample_event

COUNT = 60
WORKFLOWS = (None, "w", "Straße", 'a "name"', "back\\slash", "line\nbreak", "x" * 300)
PIECES = [
    *(bytes([byte]) for byte in range(256) if byte != 0x0A),
    b'"', b'","', b"null", b"00", b"A", b"-", b":", b" ", b"\\", b'\\"', b"\xc3\xa9", b'"user_id":null', b"",
]  # fmt: skip

Line = list[bytes]


class OneByOne(Events):
    """Takes nothing for ordinary."""

    def _add_ordinary(self, *columns: Sequence[bytes]) -> int:
        return 0


def sample_lines(random: Random) -> list[Line]:
    """Leaf, configuration and metadata of so many events that follow on each other."""
    lines = []
    for position in range(1, COUNT + 1):
        event = sample_event(position, team_id=random.choice(("t", 'team "two"')), workflow_id=random.choice(WORKFLOWS))
        lines.append([leaf_of(event, 1), event.configuration.encode(), event.metadata.encode()])
    return lines


def found(events: Events, lines: Sequence[Line], run: int) -> tuple[object, ...]:
    """All that is known at the end, or once something is found."""
    said = ""
    try:
        for at in range(0, len(lines), run):
            leaves, configurations, metadata = zip(*lines[at : at + run], strict=True)
            events.add(leaves, configurations, metadata)
    except BadEvent as error:
        said = str(error)
    return (
        said, events.position, events.epoch, events.epoch_before, events.restores, events.rotations,
        events.without_body, events.first_without_body, events.first_of_others, events.first_id_twice(),
    )  # fmt: skip


def replace_bytes(random: Random, lines: list[Line]) -> None:
    event, part = random.choice(lines), random.choice((0, 0, 0, 1, 2))
    line = event[part]
    at = random.randrange(len(line))
    event[part] = line[:at] + random.choice(PIECES) + line[at + random.randrange(3) :]


def replace_value(random: Random, lines: list[Line]) -> None:
    """Of a leaf, by one of the same length or another that no leaf has, or that another event has."""
    event, other = random.choice(lines), random.choice(lines)
    name = random.choice((b'"id":"', b'"user_id":', b'"recorded_at":"', b'_sha256":"', b'"position":', b'_version":'))
    at = event[0].index(name) + len(name)
    there = other[0].index(name) + len(name)
    width = random.choice((1, 2, 27, 36, 64))
    value = random.choice((other[0][there : there + width], event[0][at : at + width].upper(), b"0" * width))
    event[0] = event[0][:at] + value + event[0][at + width :]


def withhold(random: Random, lines: list[Line]) -> None:
    random.choice(lines)[random.choice((1, 2))] = b"null"


def move(random: Random, lines: list[Line]) -> None:
    lines.insert(random.randrange(COUNT), lines.pop(random.randrange(COUNT)))


def repeat(random: Random, lines: list[Line]) -> None:
    lines.insert(random.randrange(COUNT), random.choice(lines))


@pytest.mark.parametrize("change", [replace_bytes, replace_value, withhold, move, repeat])
def test_a_run_comes_to_the_same_as_each_event_by_itself(change: Callable[[Random, list[Line]], None]) -> None:
    random, bad = Random(5), 0
    for _ in range(300):
        lines = sample_lines(random)
        for _ in range(random.choice((1, 1, 2))):
            change(random, lines)
        before, team = random.choice((0, 0, 0, 7)), random.choice((None, None, None, "t"))
        expected = found(OneByOne(before, team), lines[before:], 1)
        for run in (7, COUNT):
            assert found(Events(before, team), lines[before:], run) == expected
        bad += bool(expected[0])
    assert bad or change is withhold


def test_what_is_right_is_taken_by_the_run() -> None:
    """Else it would be compared with itself above."""
    lines = sample_lines(Random(1))
    events = Events(0)
    events.add(*zip(*lines[:1], strict=True))
    assert events._add_ordinary(*zip(*lines[1:], strict=True)) == COUNT - 1
