"""A leaf of the tree: what is hashed of one event."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent

VERSION = 1
MAX_BYTES = 65535
"""What one entry of a tiled log may have; bodies are in a leaf by their hash alone, so that none comes near."""

_ENCODER = msgspec.json.Encoder()


class Leaf(msgspec.Struct, frozen=True):
    """The keys of a leaf, in their order. `recorded_at` is UTC with six digits; the hashes are hex, of the bytes
    that are stored."""

    v: int
    epoch: int
    position: int
    id: UUID
    stream: str
    stream_version: int
    event_type: str
    schema_version: int
    team_id: str
    user_id: UUID | None
    workflow_id: str | None
    step_completed: str | None
    recorded_at: str
    configuration_sha256: str
    metadata_sha256: str


def leaf_of(event: RecordedEvent, epoch: int) -> bytes:
    """The leaf's bytes: compact JSON in UTF-8, null where something is empty. `epoch` is the event's."""
    return encode_leaf(
        Leaf(
            VERSION,
            epoch,
            event.position,
            event.id,
            event.stream,
            event.stream_version,
            event.event_type,
            event.schema_version,
            event.team_id,
            event.user_id,
            event.workflow_id,
            event.step_completed,
            moment(event.recorded_at),
            sha256(event.configuration.encode()).hexdigest(),
            sha256(event.metadata.encode()).hexdigest(),
        )
    )


def encode_leaf(leaf: Leaf) -> bytes:
    """Its bytes: the keys in their order, without spaces."""
    return _ENCODER.encode(leaf)


def moment(at: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`, always six digits."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
