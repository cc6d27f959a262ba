"""Bodies as releases have recorded them, and what they are read as: what is in the log can always be read.

`tests/golden/<event type>/<version>.jsonl` holds pairs of lines: a stored body, byte for byte, and the body that it
reads as in the type's current version. The first pair has every field, as a release writes it; then what earlier
releases of the version have left out, and other forms. A file is never changed: a new field with a default adds a pair,
anything else is a new version with a file of its own, and alters the second lines of the older ones alone.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from events.codec import encode
from events.registry import REGISTRY, decode

GOLDEN = Path(__file__).parents[2] / "golden"
EVERY_VERSION = [(entry.name, version) for entry in REGISTRY.values() for version in range(1, entry.version + 1)]


def pairs(name: str, version: int) -> list[tuple[str, str]]:
    lines = (GOLDEN / name / f"{version}.jsonl").read_text("utf-8").splitlines()
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_every_type_and_version_has_its_file_and_no_other_has() -> None:
    there = {(path.parent.name, path.stem) for path in GOLDEN.rglob("*.jsonl")}
    assert there == {(name, str(version)) for name, version in EVERY_VERSION}


@pytest.mark.parametrize(("name", "version"), EVERY_VERSION, ids=lambda part: str(part))
def test_a_stored_body_is_read_as_it_always_was(name: str, version: int) -> None:
    for stored, read in pairs(name, version):
        assert encode(decode(name, version, stored)) == read


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_what_is_recorded_now_is_what_is_read(name: str) -> None:
    """Of the current version: the first pair is the whole body, field by field in the order that is written."""
    entry = REGISTRY[name]
    stored, read = pairs(name, entry.version)[0]
    assert stored == read
    assert list(msgspec.json.decode(stored)) == list(entry.struct.__struct_encode_fields__)
