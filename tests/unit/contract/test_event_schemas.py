"""What was released stays: `docs/schemas` has the schema of every event type, and none ever breaks a reader."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.registry import REGISTRY
from service.contract.event_schemas import (
    REMEDY,
    breaks,
    event_schema,
    published_schemas,
    release,
    released_schemas,
)

RELEASED = released_schemas()
SCHEMA = event_schema(REGISTRY["segment.completed"])


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_released_schema_changes_by_optional_fields_alone(name: str) -> None:
    entry = REGISTRY[name]
    key = (name, str(entry.version))
    assert key in RELEASED, f"version {entry.version} of {name} is new: run `make schemas` and commit what it writes"
    broken = list(breaks(RELEASED[key], event_schema(entry)))
    assert not broken, "\n".join((*broken, REMEDY))
    assert RELEASED[key] == event_schema(entry), "its optional fields or its words are new: run `make schemas`"


def test_every_version_up_to_the_current_one_was_released_and_none_was_taken_back() -> None:
    versions = {(name, str(number)) for name, entry in REGISTRY.items() for number in range(1, entry.version + 1)}
    assert set(RELEASED) == versions
    assert set(published_schemas()) == versions


def fields(schema: Any) -> Any:
    return schema["$defs"]["Completed"]["properties"]


def required(schema: Any) -> Any:
    return schema["$defs"]["Completed"]["required"]


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: fields(schema).update(more={"type": "string"}),
        lambda schema: fields(schema).update(more={"$ref": "#/$defs/More"}),
        lambda schema: schema["$defs"].update(More={"type": "object"}),
        lambda schema: schema["$defs"]["Completed"].update(description="Better words."),
    ],
)
def test_optional_fields_and_words_break_nobody(change: Callable[[Any], None]) -> None:
    changed = deepcopy(SCHEMA)
    change(changed)
    assert list(breaks(SCHEMA, changed)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: fields(schema).pop("rows"),
        lambda schema: fields(schema).update(rows={"type": "string"}),
        lambda schema: fields(schema)["rows"].update(minimum=1),
        lambda schema: fields(schema)["rows"].pop("format"),
        lambda schema: fields(schema)["nulls"]["type"].append("string"),
        lambda schema: required(schema).append("more"),
        lambda schema: required(schema).remove("rows"),
        lambda schema: schema["$defs"]["Completed"].update(additionalProperties=False),
        lambda schema: schema["$defs"].pop("Completed"),
    ],
)
def test_everything_else_does(change: Callable[[Any], None]) -> None:
    changed = deepcopy(SCHEMA)
    change(changed)
    assert list(breaks(SCHEMA, changed))


def test_a_release_adds_what_is_new_and_refuses_what_breaks(tmp_path: Path) -> None:
    assert release(tmp_path) == len(REGISTRY)
    assert release(tmp_path) == 0
    file = tmp_path / "segment.completed" / "1.json"
    before = deepcopy(SCHEMA)
    del fields(before)["nulls"]
    file.write_bytes(msgspec.json.encode(before))
    assert release(tmp_path) == 1
    broken = deepcopy(SCHEMA)
    fields(broken)["gone"] = {"type": "string"}
    file.write_bytes(msgspec.json.encode(broken))
    with pytest.raises(ValueError, match=r"segment\.completed, version 1: .*/gone is gone"):
        release(tmp_path)
    assert msgspec.json.decode(file.read_bytes()) == broken
