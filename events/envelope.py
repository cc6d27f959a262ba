"""What surrounds an event: where it belongs, who caused it, and, once recorded, its place in the log."""

from __future__ import annotations

import random
import time
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

import msgspec

from events import registry

Step = Literal["parameters", "schedule", "review", "submit"]
Category = Literal[
    "report", "collection", "segment", "schedule", "team", "instance", "workflow", "account", "letter", "person", "log"
]

SYSTEM = "system"
"""The team of what belongs to no team; nobody is of it."""


def new_id(now: float | None = None) -> UUID:
    """A UUID of version 7 (RFC 9562): ordered by time, so that index pages fill at their end.

    `now` is in seconds since 1970; the remaining 74 bits are random.
    """
    milliseconds = time.time_ns() // 1_000_000 if now is None else round(now * 1000)
    noise = random.getrandbits(74)
    return UUID(
        int=(milliseconds << 80) | (0x7 << 76) | ((noise >> 62 & 0xFFF) << 64) | (0b10 << 62) | (noise & (1 << 62) - 1)
    )


def stream_of(category: Category, id: UUID | str) -> str:
    """The stream's name: category, hyphen, id."""
    return f"{category}-{id}"


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How an event came about. `correlation_id` names the whole undertaking (a report, a collection);
    `causation_id` the event, or the entity, that led to this one; `trace_id` the W3C trace."""

    correlation_id: str | None = None
    causation_id: str | None = None
    trace_id: str | None = None


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that is not recorded yet. `data` is one of the registered structs of `events.types`.

    `id` is made once: sending the same request again with the same ids records nothing twice.
    """

    data: msgspec.Struct
    team_id: str
    user_id: UUID | None = None
    workflow_id: str | None = None
    step_completed: Step | None = None
    metadata: Metadata = Metadata()
    id: UUID = msgspec.field(default_factory=new_id)


class RecordedEvent(msgspec.Struct, frozen=True, dict=True):
    """A row of the log. `configuration` and `metadata` hold the stored JSON, byte for byte.

    `recorded_at` is the database's time of the append, in UTC, and never goes back from one position to the next.
    """

    position: int
    id: UUID
    stream: str
    stream_version: int
    event_type: str
    schema_version: int
    team_id: str
    user_id: UUID | None
    workflow_id: str | None
    step_completed: Step | None
    configuration: str
    metadata: str
    recorded_at: datetime

    @property
    def entity_id(self) -> str:
        """The stream's id without its category."""
        return self.stream.partition("-")[2]

    @property
    def entity_uuid(self) -> UUID:
        """The same, where it is a UUID; ValueError where it is none."""
        return _entity_uuid(self.stream)

    @property
    def data(self) -> msgspec.Struct:
        """The event's struct in its current version; decoded once for all readers of this process."""
        # Not functools.cached_property: until Python 3.12 it takes a lock.
        known = self.__dict__
        if (data := known.get("data")) is None:
            data = known["data"] = registry.decode(self.event_type, self.schema_version, self.configuration)
        return data


@lru_cache(16384)
def _entity_uuid(stream: str) -> UUID:
    """Cached, as reading a UUID takes longer than most of what is done with an event, and streams come again."""
    return UUID(stream.partition("-")[2])
