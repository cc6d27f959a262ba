from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import RecordedEvent, new_id
from events.tree.leaf import MAX_BYTES, leaf_of

EVENT = RecordedEvent(
    position=7,
    id=UUID("0199f0aa-6a3c-7d20-8a11-5d3a8e6f2b90"),
    stream="report-3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90",
    stream_version=2,
    event_type="report.parameters_set",
    schema_version=1,
    team_id="team-1",
    user_id=UUID("3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90"),
    workflow_id=None,
    step_completed="parameters",
    configuration='{"name":"Überblick"}',
    metadata="{}",
    recorded_at=datetime(2026, 3, 2, 14, 5, tzinfo=UTC),
)
GOLDEN = (
    '{"v":1,"epoch":1,"position":7,"id":"0199f0aa-6a3c-7d20-8a11-5d3a8e6f2b90",'
    '"stream":"report-3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90","stream_version":2,"event_type":"report.parameters_set",'
    '"schema_version":1,"team_id":"team-1","user_id":"3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90","workflow_id":null,'
    '"step_completed":"parameters","recorded_at":"2026-03-02T14:05:00.000000Z",'
    '"configuration_sha256":"7501c9b8bae4a9f214c7d99e568faca6dc9baa1593687cb7c30cfcb35dd46df3",'
    '"metadata_sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}'
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def by_the_standard_library(event: RecordedEvent, epoch: int) -> bytes:
    """The same by the words of the design alone, as a verifier writes it that has none of our code."""
    at = event.recorded_at.astimezone(UTC)
    leaf = {
        "v": 1, "epoch": epoch, "position": event.position, "id": str(event.id), "stream": event.stream,
        "stream_version": event.stream_version, "event_type": event.event_type, "schema_version": event.schema_version,
        "team_id": event.team_id, "user_id": None if event.user_id is None else str(event.user_id),
        "workflow_id": event.workflow_id, "step_completed": event.step_completed,
        "recorded_at": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond:06}Z",
        "configuration_sha256": hashlib.sha256(event.configuration.encode()).hexdigest(),
        "metadata_sha256": hashlib.sha256(event.metadata.encode()).hexdigest(),
    }  # fmt: skip
    return json.dumps(leaf, ensure_ascii=False, separators=(",", ":")).encode()


def test_a_leaf_has_exactly_these_bytes() -> None:
    assert leaf_of(EVENT, 1).decode() == GOLDEN


@given(
    TEXT, TEXT, st.none() | TEXT, st.none() | st.uuids(), TEXT,
    st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])),  # noqa: DTZ001
    st.integers(1, 2**62),
)  # fmt: skip
def test_the_standard_librarys_json_writes_the_same_bytes(
    stream: str, team: str, workflow: str | None, user: UUID | None, body: str, at: datetime, position: int
) -> None:
    event = msgspec.structs.replace(
        EVENT, position=position, id=new_id(), stream=stream, team_id=team, workflow_id=workflow, user_id=user,
        configuration=json.dumps(body), recorded_at=at, step_completed=None,
    )  # fmt: skip
    assert leaf_of(event, 3) == by_the_standard_library(event, 3)


def test_no_leaf_outgrows_the_entries_of_a_tiled_log() -> None:
    # An index of the log holds a stream's name, and a name of 2,700 bytes no longer fits; the rest is short.
    long = msgspec.structs.replace(EVENT, stream="\x01" * 2700, team_id="\x01" * 2700, workflow_id="\x01" * 2700)
    assert len(leaf_of(long, 1)) < MAX_BYTES
