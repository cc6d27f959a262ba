"""The AsyncAPI 3.0 document of the event stream: every event type as it is sent, over HTTP and over AMQP."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

from events.registry import EventType
from service.contract.openapi import VERSION
from service.contract.schemas import Schema, Schemas

CLOUD_EVENT = "application/cloudevents+json"
PREFIX = "report_builder"

DESCRIPTION = """\
The log of Report Builder: every event, in one order, from any position on. Each is a CloudEvents 1.0 JSON object; \
`sequence` is its position, zero-padded, and one more than that of the event before it. Events come at least once: a \
reader drops what is not beyond the last one that it has.

Over HTTP a reader gets its teams' events; AMQP is for programs that may see all of them, and what is missing there is \
fetched over HTTP, which alone has the whole history. The operations are in [OpenAPI](/openapi.json), too."""

POSITION: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}

ATTRIBUTES: dict[str, Schema] = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "format": "uuid"},
    "source": {"const": "/report-builder"},
    "type": TEXT,
    "subject": TEXT | {"description": "The stream."},
    "time": {"type": "string", "format": "date-time"},
    "datacontenttype": {"const": "application/json"},
    "dataschema": {"type": "string", "format": "uri-reference"},
    "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "The position."},
    "epoch": {"type": "integer", "minimum": 1},
    "streamversion": {"type": "integer", "minimum": 1},
    "teamid": TEXT,
    "userid": {"type": "string", "format": "uuid"},
    "workflowid": TEXT,
    "stepcompleted": {"enum": ["parameters", "schedule", "review", "submit"]},
    "correlationid": TEXT,
    "causationid": TEXT,
}
OPTIONAL = ("userid", "workflowid", "stepcompleted", "correlationid", "causationid")

CONTROL = {
    "checkpoint": "The filter has passed over all events up to the position: resume from there.",
    "caught-up": "The end of the log is reached.",
    "fell-behind": "After that, the reader is a whole batch behind again.",
}


def asyncapi(registry: Mapping[str, EventType]) -> dict[str, Any]:
    """The document."""
    # Structs of different streams may have one name.
    schemas = {kind: Schemas(at=f"#/components/schemas/{kind}.") for kind in sorted({*map(_stream_of, registry)})}
    messages = {name: _message(entry, schemas[_stream_of(name)]) for name, entry in sorted(registry.items())}
    messages |= {name: _control(name, summary) for name, summary in CONTROL.items()}
    events = {name: _reference("messages", name) for name in messages if name not in CONTROL}
    frames = {name: _reference("messages", name) for name in messages}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Report Builder events", "version": VERSION, "description": DESCRIPTION},
        "defaultContentType": CLOUD_EVENT,
        "channels": {
            "stream": {
                "address": "/api/events/stream",
                "title": "Live, as server-sent events",
                "description": "A frame's `event` is the message's name, its `id` the position, its `data` the payload."
                " Begins behind `Last-Event-ID` or `?after=`.",
                "messages": frames,
                "bindings": {"http": {}},
            },
            "pages": {
                "address": "/api/events",
                "title": "By page, as JSON or NDJSON",
                "description": "With `Accept: application/x-ndjson` each line is a payload.",
                "messages": events,
                "bindings": {"http": {}},
            },
            "exchange": {
                "address": f"{PREFIX}.events",
                "title": "AMQP 0-9-1: a topic exchange, to which a program binds queues of its own",
                "description": "The routing key is the event type: `segment.*` binds to all events of segments.",
                "messages": events,
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {
                            "name": f"{PREFIX}.events",
                            "type": "topic",
                            "durable": True,
                            "autoDelete": False,
                            "vhost": "/",
                        },
                    }
                },
            },
            "log": {
                "address": f"{PREFIX}.log",
                "title": "AMQP 0-9-1: a stream queue of RabbitMQ, which any number of programs read from any offset",
                "messages": events,
                "bindings": {
                    "amqp": {
                        "is": "queue",
                        "queue": {
                            "name": f"{PREFIX}.log",
                            "durable": True,
                            "exclusive": False,
                            "autoDelete": False,
                            "vhost": "/",
                        },
                    }
                },
            },
        },
        "operations": {
            "follow": _sends("stream", "Follow the log live", {"http": {"method": "GET"}}),
            "read": _sends("pages", "Read the log, page by page", {"http": {"method": "GET"}}),
            "publish": _sends("exchange", "Send every event, once and in order", {"amqp": {"deliveryMode": 2}}),
            "keep": _sends("log", "Keep every event for a time", {"amqp": {"deliveryMode": 2}}),
        },
        "components": {
            "messages": messages,
            "schemas": {
                f"{kind}.{name}": _plain(schema)
                for kind, each in schemas.items()
                for name, schema in sorted(each.components.items())
            },
        },
    }


def _message(entry: EventType, schemas: Schemas) -> dict[str, Any]:
    """One event type in its current version."""
    properties = ATTRIBUTES | {
        "type": {"const": entry.name},
        "dataschema": {"const": f"/schemas/{entry.name}/{entry.version}.json"},
        "data": schemas.of_answer(entry.struct),
    }
    return {
        "name": entry.name,
        "title": f"{entry.name}, version {entry.version}",
        "summary": cleandoc(entry.struct.__doc__ or ""),
        "contentType": CLOUD_EVENT,
        "payload": {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name not in OPTIONAL],
        },
    }


def _stream_of(event_type: str) -> str:
    return event_type.partition(".")[0]


def _control(name: str, summary: str) -> dict[str, Any]:
    payload = {"type": "object", "properties": {"position": POSITION}, "required": ["position"]}
    return {"name": name, "summary": summary, "contentType": "application/json", "payload": payload}


def _sends(channel: str, summary: str, bindings: Schema) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "bindings": bindings,
    }


def _reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _plain(value: Any) -> Any:
    """A schema without OpenAPI's `discriminator`: AsyncAPI's is a text, and says nothing that `oneOf` does not."""
    if isinstance(value, dict):
        dropped = {"discriminator"} if "oneOf" in value else set()
        return {name: _plain(each) for name, each in value.items() if name not in dropped}
    return [_plain(each) for each in value] if isinstance(value, list) else value
