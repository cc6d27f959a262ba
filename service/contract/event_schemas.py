"""The JSON Schemas of events' bodies: those of this release, made from the structs, and those of releases before it.

`docs/schemas` holds every schema that a release has published, by type and version. What is there never changes but
by optional fields, as programs go by it and stored events are read by it: any other change is a new version of the
type, with an upcaster. `make schemas` adds what is new; it refuses what would break somebody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from events.registry import REGISTRY, EventType
from service.contract.schemas import Schema, Schemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CHECKOUT = Path(__file__).parents[2] / "docs" / "schemas"

# What a schema says for people; it may be put better at any time.
WORDS = frozenset({"description", "title", "examples"})


def event_schema(entry: EventType) -> Schema:
    """The schema of the type's body in its current version."""
    schemas = Schemas(at="#/$defs/")
    schema = schemas.of_answer(entry.struct)
    return {
        "$schema": DIALECT,
        "$id": f"/schemas/{entry.name}/{entry.version}.json",
        **schema,
        "$defs": schemas.components,
    }


def released_schemas() -> dict[tuple[str, str], Schema]:
    """Every schema that was released, by type and version."""
    installed = files("service.contract").joinpath("released")
    folder: Traversable = installed if installed.is_dir() else CHECKOUT
    return {
        (kind.name, file.name.removesuffix(".json")): msgspec.json.decode(file.read_bytes())
        for kind in folder.iterdir()
        if kind.is_dir()
        for file in kind.iterdir()
    }


EventSchemas = dict[tuple[str, str], bytes]
"""By type and version."""


def published_schemas() -> EventSchemas:
    """The schema of every version of an event that there has been, as `/schemas/…` serves it."""
    current = {(entry.name, str(entry.version)): event_schema(entry) for entry in REGISTRY.values()}
    return {key: msgspec.json.encode(schema) for key, schema in (released_schemas() | current).items()}


def breaks(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Where the new schema is not the old one with more optional fields, in words; `at` is a JSON pointer."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new} - WORDS):
            if name in ("properties", "$defs") and isinstance(old.get(name), dict):
                yield from _fields_break(old[name], new.get(name, {}), f"{at}/{name}")
            elif name not in new:
                yield f"{at}/{name} is gone"
            elif name not in old:
                yield f"{at}/{name} is new"
            else:
                yield from breaks(old[name], new[name], f"{at}/{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from breaks(before, after, f"{at}/{number}")
    elif old != new:
        yield f"{at} was {msgspec.json.encode(old).decode()}, is {msgspec.json.encode(new).decode()}"


def _fields_break(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    """New ones may come: one that is required shows in `required`."""
    for name in old:
        if name in new:
            yield from breaks(old[name], new[name], f"{at}/{name}")
        else:
            yield f"{at}/{name} is gone"


def release(folder: Path = CHECKOUT) -> int:
    """Writes the schemas of this release into the folder; answers how many files changed.

    Raises ValueError, and writes nothing, where one would break who goes by what was released.
    """
    texts: dict[Path, bytes] = {}
    broken: list[str] = []
    for entry in REGISTRY.values():
        file = folder / entry.name / f"{entry.version}.json"
        schema = event_schema(entry)
        if file.exists():
            broken += [f"{entry.name}, version {entry.version}: {each}" for each in breaks(_read(file), schema)]
        texts[file] = msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
    if broken:
        raise ValueError("\n".join((*broken, REMEDY)))
    changed = {file: text for file, text in texts.items() if not file.exists() or file.read_bytes() != text}
    for file, text in changed.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    return len(changed)


REMEDY = """\
These versions were released, and stay as they are. Put the struct back, or make what you need a new version of the
event type: the changed struct under the next number in EVENTS, the step up from the old version in UPCASTERS."""


def _read(file: Path) -> Any:
    return msgspec.json.decode(file.read_bytes())


if __name__ == "__main__":
    try:
        print(f"{release()} schemas written to {CHECKOUT}")
    except ValueError as error:
        sys.exit(str(error))
