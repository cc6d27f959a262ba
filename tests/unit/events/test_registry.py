"""The registry: contradictions stop the start, old versions come up to the current one, unknown ones stop."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import msgspec
import pytest

from events import registry
from events.registry import REGISTRY, RegistryError, UnknownEvent, build_registry, decode, event_type_of
from events.types.report import ReportCreated


class Opened(msgspec.Struct, frozen=True):
    """Version 3: `title` was `name` in version 2, and `owner` was not there in version 1."""

    title: str
    owner: str


class Closed(msgspec.Struct, frozen=True):
    reason: str


def with_owner(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"owner": "nobody"}


def with_title(body: dict[str, Any]) -> dict[str, Any]:
    return {"title": body["name"], "owner": body["owner"]}


def module(events: dict[tuple[str, int], type[msgspec.Struct]], upcasters: dict[tuple[str, int], Any]) -> ModuleType:
    made = ModuleType("made")
    made.EVENTS, made.UPCASTERS = events, upcasters  # type: ignore[attr-defined]
    return made


def test_a_chain_of_upcasters_that_is_whole_is_accepted() -> None:
    steps = {("door.opened", 1): with_owner, ("door.opened", 2): with_title}
    built = build_registry([module({("door.opened", 3): Opened, ("door.closed", 1): Closed}, steps)])
    assert built["door.opened"].version == 3
    assert built["door.opened"].upcasters == {1: with_owner, 2: with_title}
    assert built["door.closed"].upcasters == {}


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        ([({("a.b", 1): Opened}, {}), ({("a.b", 1): Closed}, {})], "a.b is declared twice"),
        ([({("a.b", 1): Opened, ("a.b", 2): Closed}, {("a.b", 1): with_owner})], "a.b"),
        ([({("a.b", 1): Opened}, {}), ({("a.c", 1): Opened}, {})], "Opened is the struct of both a.b and a.c"),
        ([({("a.b", 2): Opened}, {})], "a.b is at version 2, but has upcasters from []"),
        ([({("a.b", 3): Opened}, {("a.b", 2): with_title})], "a.b is at version 3, but has upcasters from [2]"),
        ([({("a.b", 3): Opened}, {("a.b", 1): with_owner})], "a.b is at version 3, but has upcasters from [1]"),
        ([({("a.b", 1): Opened}, {("a.b", 1): with_owner})], "a.b is at version 1, but has upcasters from [1]"),
        ([({("a.b", 1): Opened}, {("a.c", 1): with_owner})], "upcasters for types that do not exist: ['a.c']"),
    ],
    ids=["name twice", "two versions", "struct twice", "no step", "no first", "ends short", "cycle", "stray"],
)
def test_event_types_that_contradict_each_other_stop_the_start(modules: list[Any], sentence: str) -> None:
    with pytest.raises(RegistryError) as refused:
        build_registry([module(events, upcasters) for events, upcasters in modules])
    assert sentence in str(refused.value)


def test_an_old_version_is_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {("door.opened", 1): with_owner, ("door.opened", 2): with_title}
    built = build_registry([module({("door.opened", 3): Opened}, steps)])
    monkeypatch.setitem(registry.REGISTRY, "door.opened", built["door.opened"])
    assert decode("door.opened", 1, '{"name": "front"}') == Opened("front", "nobody")
    assert decode("door.opened", 2, '{"name": "front", "owner": "me"}') == Opened("front", "me")
    assert decode("door.opened", 3, '{"title": "front", "owner": "me"}') == Opened("front", "me")
    with pytest.raises(UnknownEvent, match=r"door.opened version 4 is not known to this release; upgrade it"):
        decode("door.opened", 4, "{}")


def test_an_unknown_type_is_told_as_such() -> None:
    with pytest.raises(UnknownEvent, match=r"door.knocked version 1 is not known to this release"):
        decode("door.knocked", 1, "{}")


def test_a_body_that_is_not_of_its_type_is_an_error_and_not_an_event() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode("report.created", 1, '{"title": "no name"}')


def test_each_type_is_named_after_its_stream_in_the_past_tense() -> None:
    streams = "report|collection|segment|schedule|team|instance|workflow|account|letter|person|log"
    for name in REGISTRY:
        assert re.fullmatch(rf"({streams})\.[a-z]+(_[a-z]+)*", name)


def test_a_struct_that_is_no_event_cannot_be_appended() -> None:
    assert event_type_of(ReportCreated("x")).name == "report.created"
    with pytest.raises(KeyError):
        event_type_of(Opened("x", "y"))
