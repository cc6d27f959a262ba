"""Ids, streams, and what surrounds an event."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import RFC_4122, UUID

import msgspec
import pytest

from events.codec import encode
from events.envelope import Metadata, NewEvent, RecordedEvent, new_id, stream_of
from events.registry import UnknownEvent
from events.types.report import ReportCreated


def recorded(**changes: object) -> RecordedEvent:
    fields: dict[str, object] = {
        "position": 1,
        "id": UUID(int=1),
        "stream": "report-a-b",
        "stream_version": 1,
        "event_type": "report.created",
        "schema_version": 1,
        "team_id": "t",
        "user_id": None,
        "workflow_id": None,
        "step_completed": None,
        "configuration": '{"name":"History"}',
        "metadata": "{}",
        "recorded_at": datetime(2025, 1, 1, tzinfo=UTC),
    }
    return RecordedEvent(**(fields | changes))  # type: ignore[arg-type]


def test_a_new_id_is_a_uuid_of_version_7_with_its_time() -> None:
    made = new_id(1_735_689_600.123)
    assert made.version == 7
    assert made.variant == RFC_4122
    assert made.int >> 80 == 1_735_689_600_123


def test_new_ids_are_ordered_by_time_and_never_alike() -> None:
    assert new_id(1.0) < new_id(1.5) < new_id(2.0) < new_id()
    made = [new_id(5.0) for _ in range(10_000)]
    assert len(set(made)) == len(made)
    # All of the 74 random bits are used: each is set in some ids and not in others.
    noise = [each.int & ~(0xF << 76) & ~(0b11 << 62) & (1 << 80) - 1 for each in made[:200]]
    varying = 0
    for each in noise:
        varying |= each ^ noise[0]
    assert varying.bit_count() == 74


def test_a_new_id_is_of_now() -> None:
    assert abs((new_id().int >> 80) - time.time() * 1000) < 1000


def test_a_stream_is_named_by_category_and_id() -> None:
    assert stream_of("team", "t-1") == "team-t-1"
    assert stream_of("segment", UUID(int=7)) == f"segment-{UUID(int=7)}"
    assert recorded().entity_id == "a-b"


def test_an_event_that_is_sent_again_keeps_its_id() -> None:
    event = NewEvent(data=ReportCreated("x"), team_id="t")
    assert msgspec.structs.replace(event, team_id="u").id == event.id
    assert NewEvent(data=ReportCreated("x"), team_id="t").id != event.id


def test_metadata_that_is_absent_is_not_written() -> None:
    assert encode(Metadata()) == "{}"
    assert encode(Metadata(correlation_id="c", trace_id="t")) == '{"correlation_id":"c","trace_id":"t"}'


def test_a_recorded_event_is_decoded_once() -> None:
    event = recorded()
    assert event.data == ReportCreated("History")
    assert event.data is event.data


def test_a_recorded_event_of_an_unknown_version_is_not_decoded() -> None:
    with pytest.raises(UnknownEvent):
        _ = recorded(schema_version=2).data
