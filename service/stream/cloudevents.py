"""Events as CloudEvents 1.0, encoded once for all readers of a process."""

from __future__ import annotations

from typing import Any

import msgspec

from events.envelope import RecordedEvent
from events.epochs import Epochs

SOURCE = "/report-builder"


def cloud_event(event: RecordedEvent, epochs: Epochs) -> bytes:
    """The event as CloudEvents JSON. `sequence` is the position, zero-padded so that it sorts as text; it is good
    within the `epoch`, one of the log's."""
    encoded = event.__dict__.get("_cloud_event")
    if encoded is None:
        encoded = event.__dict__["_cloud_event"] = _encode(event, epochs.at(event.position))
    return encoded


def _encode(event: RecordedEvent, epoch: int) -> bytes:
    metadata: dict[str, Any] = msgspec.json.decode(event.metadata)
    body = {
        "specversion": "1.0",
        "id": event.id,
        "source": SOURCE,
        "type": event.event_type,
        "subject": event.stream,
        "time": event.recorded_at,
        "datacontenttype": "application/json",
        "dataschema": f"/schemas/{event.event_type}/{event.schema_version}.json",
        "sequence": f"{event.position:020}",
        "epoch": epoch,
        "streamversion": event.stream_version,
        "teamid": event.team_id,
        "userid": event.user_id,
        "workflowid": event.workflow_id,
        "stepcompleted": event.step_completed,
        "correlationid": metadata.get("correlation_id"),
        "causationid": metadata.get("causation_id"),
    }
    # CloudEvents leaves an attribute without a value out.
    body = {name: value for name, value in body.items() if value is not None}
    return msgspec.json.encode(body | {"data": msgspec.Raw(event.configuration.encode())})
