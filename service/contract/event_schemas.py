"""The JSON Schemas of events' bodies."""

from __future__ import annotations

import msgspec

from events.registry import REGISTRY, EventType
from service.contract.schemas import Schema, Schemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"


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


def published_schemas() -> dict[tuple[str, str], bytes]:
    """The schema of every version of an event that there has been, as `/schemas/…` serves it."""
    current = {(entry.name, str(entry.version)): event_schema(entry) for entry in REGISTRY.values()}
    return {key: msgspec.json.encode(schema) for key, schema in current.items()}
