"""The AsyncAPI document: valid, and true to what is sent."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest

from events.envelope import RecordedEvent
from events.epochs import Epochs
from events.registry import REGISTRY
from service.backfill.broker.topology import LogTopology
from service.contract.asyncapi import CONTROL, asyncapi
from service.stream.cloudevents import cloud_event
from tests.deployment import ROOT

DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asyncapi(REGISTRY)))


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for inner in value.values() for each in references(inner)]
    return [each for inner in value for each in references(inner)] if isinstance(value, list) else []


def payload(event_type: str) -> dict[str, Any]:
    """The schema of what is sent of an event, with all that it refers to."""
    message: dict[str, Any] = DOCUMENT["components"]["messages"][event_type]
    return {**message["payload"], "components": DOCUMENT["components"]}


def test_the_document_is_valid() -> None:
    official = gzip.decompress((ROOT / "tests" / "data" / "asyncapi-3.0.0.schema.json.gz").read_bytes())
    jsonschema_rs.validate(msgspec.json.decode(official), DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        found = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_event_type_is_a_message_of_every_channel_and_its_payload_a_schema() -> None:
    for name, channel in DOCUMENT["channels"].items():
        assert set(channel["messages"]) == set(REGISTRY) | (set(CONTROL) if name == "stream" else set())
    for message in DOCUMENT["components"]["messages"].values():
        jsonschema_rs.meta.validate(message["payload"])


def test_exchange_and_queue_are_those_that_are_declared() -> None:
    topology = LogTopology()
    exchange = DOCUMENT["channels"]["exchange"]["bindings"]["amqp"]["exchange"]
    assert (exchange["name"], exchange["type"], exchange["durable"]) == (topology.exchange, "topic", True)
    assert DOCUMENT["channels"]["log"]["bindings"]["amqp"]["queue"]["name"] == topology.queue.name


def event(**surroundings: Any) -> RecordedEvent:
    made: dict[str, Any] = {
        "position": 7,
        "id": UUID(int=1),
        "stream": "log-1",
        "stream_version": 1,
        "event_type": "report.created",
        "schema_version": 1,
        "team_id": "t",
        "user_id": UUID(int=2),
        "workflow_id": "w",
        "step_completed": "review",
        "configuration": '{"name":"a"}',
        "metadata": '{"correlation_id":"a","causation_id":"b"}',
        "recorded_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return RecordedEvent(**(made | surroundings))


def test_an_event_is_as_its_message_says_with_everything_and_with_nothing() -> None:
    full = event()
    bare = event(user_id=None, workflow_id=None, step_completed=None, metadata="{}")
    for each in (full, bare):
        jsonschema_rs.validate(payload("report.created"), msgspec.json.decode(cloud_event(each, Epochs())))
    schema = DOCUMENT["components"]["messages"]["report.created"]["payload"]
    assert set(schema["properties"]) == set(msgspec.json.decode(cloud_event(full, Epochs())))
    assert set(schema["required"]) == set(msgspec.json.decode(cloud_event(bare, Epochs())))


@pytest.mark.parametrize("wrong", [{"configuration": "{}"}, {"event_type": "report.nothing"}, {"schema_version": 2}])
def test_what_is_not_such_an_event_does_not_fit(wrong: dict[str, Any]) -> None:
    sent = msgspec.json.decode(cloud_event(event(**wrong), Epochs()))
    assert not jsonschema_rs.is_valid(payload("report.created"), sent)
