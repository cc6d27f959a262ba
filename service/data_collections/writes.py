"""What is appended when a collection is set to work."""

from __future__ import annotations

from uuid import UUID

from events.append import Write
from events.envelope import Metadata, NewEvent, new_id, stream_of
from events.types.collection import CollectionCreated


def created_write(
    collection_id: UUID,
    collection: CollectionCreated,
    *,
    team_id: str,
    user_id: UUID | None,
    workflow_id: str,
    causation: UUID | None = None,
    event_id: UUID | None = None,
) -> Write:
    """The collection's first event; `causation` is the report or the schedule that led to it, `event_id` for which
    values in it were sealed."""
    event = NewEvent(
        data=collection,
        team_id=team_id,
        user_id=user_id,
        workflow_id=workflow_id,
        metadata=Metadata(correlation_id=str(collection_id), causation_id=str(causation) if causation else None),
        id=event_id or new_id(),
    )
    return Write(stream_of("collection", collection_id), "none", (event,))
