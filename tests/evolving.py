"""A newer version of an event type, as a later release would bring it."""

from __future__ import annotations

import msgspec
import pytest

from events import registry
from events.registry import EventType, Upcaster


def introduce(
    monkeypatch: pytest.MonkeyPatch, name: str, struct: type[msgspec.Struct], *upcasters: Upcaster
) -> EventType:
    """From here on the type has as many versions as there are steps up, and one more, which is written as this
    struct."""
    newer = EventType(name, len(upcasters) + 1, struct, dict(enumerate(upcasters, 1)), msgspec.json.Decoder(struct))
    monkeypatch.setitem(registry.REGISTRY, name, newer)
    monkeypatch.setitem(registry._NAMES, struct, newer)
    return newer
