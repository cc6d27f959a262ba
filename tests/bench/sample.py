"""The event that every contender records: of usual size, with every column filled, alone in its stream."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from events.append import AppendRequest, Write
from events.codec import encode
from events.envelope import Metadata, NewEvent, new_id, stream_of
from events.registry import event_type_of
from events.types.report import Reviewed

TEAM = "team-of-the-benchmark"
USER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
WORKFLOW = "reach-and-frequency"

DATA = Reviewed(
    digest="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    as_of=date(2026, 3, 2),
    window_start=date(2025, 3, 3),
    window_end=date(2026, 3, 1),
    segments=52,
)
METADATA = Metadata(correlation_id="01890a5d-ac96-774b-bcce-b302099a8057", trace_id="4bf92f3577b34da6a3ce929d0e0e4736")

# The same as columns, for those who insert rows.
EVENT_TYPE = event_type_of(DATA)
CONFIGURATION = encode(DATA)
METADATA_JSON = encode(METADATA)


def new_stream() -> str:
    return stream_of("report", new_id())


def new_request(events: int = 1) -> AppendRequest:
    """So many events for one new stream."""
    return AppendRequest((Write(new_stream(), "none", tuple(_new_event() for _ in range(events))),))


def _new_event() -> NewEvent:
    return NewEvent(
        data=DATA,
        team_id=TEAM,
        user_id=USER,
        workflow_id=WORKFLOW,
        step_completed="review",
        metadata=METADATA,
    )
