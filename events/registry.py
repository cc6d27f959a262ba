"""Which event types there are, in which version, and how an older version becomes the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from events.types import (
    account,
    collection,
    instance,
    letter,
    log,
    person,
    report,
    schedule,
    segment,
    team,
    workflow,
)

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Data = TypeVar("Data", bound=type[msgspec.Struct])


class UnknownEvent(Exception):
    """A type or version that this release cannot read: whoever reads it must stop, never skip."""


class RegistryError(Exception):
    """The event types contradict each other; the program does not start."""


class EventType(msgspec.Struct, frozen=True):
    """One type: its name, its current version and struct, the steps up from older versions by the version that they
    begin at, and what reads a body of the current one."""

    name: str
    version: int
    struct: type[msgspec.Struct]
    upcasters: dict[int, Upcaster]
    decoder: msgspec.json.Decoder[msgspec.Struct]


def build_registry(modules: Iterable[ModuleType]) -> dict[str, EventType]:
    """The event types of the modules' `EVENTS` and `UPCASTERS`.

    Raises RegistryError for two types of one name or of one struct, or a chain of upcasters that leaves a
    version out.
    """
    registry: dict[str, EventType] = {}
    structs: dict[type[msgspec.Struct], str] = {}
    for module in modules:
        upcasters: dict[tuple[str, int], Upcaster] = getattr(module, "UPCASTERS", {})
        for (name, version), struct in module.EVENTS.items():
            if name in registry:
                raise RegistryError(f"the event type {name} is declared twice")
            if (other := structs.setdefault(struct, name)) != name:
                raise RegistryError(f"{struct.__name__} is the struct of both {other} and {name}")
            steps = {start: step for (of, start), step in upcasters.items() if of == name}
            if set(steps) != set(range(1, version)):
                raise RegistryError(f"{name} is at version {version}, but has upcasters from {sorted(steps)}")
            registry[name] = EventType(name, version, struct, steps, msgspec.json.Decoder(struct))
        if strays := {name for name, _ in upcasters} - {name for name, _ in module.EVENTS}:
            raise RegistryError(f"upcasters for types that do not exist: {sorted(strays)}")
    return registry


REGISTRY = build_registry(
    (report, collection, segment, schedule, workflow, instance, account, team, letter, person, log)
)
_NAMES = {entry.struct: entry for entry in REGISTRY.values()}


def event_type_of(data: msgspec.Struct) -> EventType:
    """The registered type of an event's struct; KeyError for a struct that is none."""
    return _NAMES[type(data)]


def decode(name: str, version: int, configuration: str) -> msgspec.Struct:
    """The event's struct, brought up to the current version. Raises UnknownEvent."""
    entry = REGISTRY.get(name)
    if entry is not None and version == entry.version:
        return entry.decoder.decode(configuration)
    if entry is None or version > entry.version:
        raise UnknownEvent(f"{name} version {version} is not known to this release; upgrade it before going on")
    raw = msgspec.json.decode(configuration)
    for step in range(version, entry.version):
        raw = entry.upcasters[step](raw)
    return msgspec.convert(raw, entry.struct)
