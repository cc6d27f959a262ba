"""docs/contract.md is complete and has nothing stale: held against the structs, tables, queues and routes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args
from unittest.mock import Mock
from uuid import UUID

import msgspec
import pytest
from msgspec import inspect

from events.codec import MAX_BODY_BYTES
from events.envelope import Category, Metadata, RecordedEvent
from events.epochs import Epochs
from events.registry import REGISTRY
from events.types.collection import BackfillStatus
from projections.backfills import COUNTERS
from projections.runner import TABLES
from projections.schedules import ScheduleStatus
from service.app import create_app
from service.backfill.broker import StepMessage, Topology
from service.endpoints import LAST_POSITION, Endpoint, Query
from service.front import MAX_BODY
from service.stream.cloudevents import cloud_event
from tests.unit.docs.markdown import DOCS, ROOT, anchor, names, rows, sections

CONTRACT = sections(DOCS / "contract.md")


async def _endpoints() -> list[Endpoint]:
    app = create_app(Mock())
    assert all(isinstance(route, Endpoint) for route in app.routes)
    return [route for route in app.routes if isinstance(route, Endpoint)]


ENDPOINTS = asyncio.run(_endpoints())
ROUTES = {
    row[0].strip("`"): row[1:]
    for section in CONTRACT.values()
    for row in rows(section)
    if re.match("`(GET|POST|PUT|PATCH|DELETE) /", row[0])
}
"""By method and path: scope, status, what it takes, answer."""
SECTIONS_BY_ANCHOR = {anchor(heading): section for heading, section in CONTRACT.items()}
BODIES = {endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None}


def in_words(kind: inspect.Type) -> str:
    """A type as the contract writes it, with its limits; a struct by its name."""
    match kind:
        case inspect.Metadata():
            return in_words(kind.type)
        case inspect.UnionType():
            return " or ".join(in_words(each) for each in kind.types)
        case inspect.StructType():
            return kind.cls.__name__
        case inspect.VarTupleType() | inspect.ListType():
            return f"{'non-empty ' if kind.min_length else ''}list of {in_words(kind.item_type)}"
        case inspect.DictType():
            return f"object of {in_words(kind.value_type)}"
        case inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in kind.values)
        case inspect.IntType() | inspect.FloatType():
            noun = "integer" if isinstance(kind, inspect.IntType) else "number"
            return noun + _limits(kind.ge, kind.le)
        case inspect.DateTimeType(tz=False):
            return "local time"
        case inspect.StrType():
            return "text" + _limits(kind.min_length, kind.max_length)
    return {
        inspect.BoolType: "boolean",
        inspect.DateType: "date",
        inspect.DateTimeType: "time",
        inspect.UUIDType: "UUID",
        inspect.NoneType: "null",
    }[type(kind)]


def _limits(least: Any, most: Any) -> str:
    if most is None:
        return "" if least is None else f" ≥ {least}"
    if most in (2**31 - 1, LAST_POSITION):
        return f" ≥ {least}"
    return f" ≤ {most}" if least is None else f" {least}…{most}"


def fields_in_words(struct: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Each field by its name in JSON, the tag first, with its type in words."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    tag = [(kind.tag_field, f"`{kind.tag}`")] if kind.tag_field else []
    return tag + [(field.encode_name, in_words(field.type)) for field in kind.fields]


def defaults_in_words(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Each field's default as JSON, or that it is required; null means that the field may be left out."""
    found = {}
    for field in msgspec.structs.fields(struct):
        default: Any = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        found[field.encode_name] = (
            "required" if default is msgspec.NODEFAULT else f"`{msgspec.json.encode(default).decode()}`"
        )
    return found


def structs_in(kind: inspect.Type, closed: Collection[type[msgspec.Struct]] = ()) -> Iterator[type[msgspec.Struct]]:
    """Every struct that a value of the type may hold, itself included; not what is within the `closed` ones."""
    match kind:
        case inspect.Metadata():
            yield from structs_in(kind.type, closed)
        case inspect.UnionType():
            for each in kind.types:
                yield from structs_in(each, closed)
        case inspect.StructType():
            yield kind.cls
            if kind.cls not in closed:
                for field in kind.fields:
                    yield from structs_in(field.type, closed)
        case inspect.VarTupleType() | inspect.ListType():
            yield from structs_in(kind.item_type, closed)
        case inspect.DictType():
            yield from structs_in(kind.value_type, closed)


@cache
def objects() -> dict[str, type[msgspec.Struct]]:
    """What events and request bodies hold besides plain values, and the bodies themselves, by name."""
    events = {entry.struct for entry in REGISTRY.values()}
    found = {each for top in (*events, *BODIES) for each in structs_in(inspect.type_info(top))}
    return {struct.__name__: struct for struct in sorted(found - events, key=lambda each: each.__name__)}


def test_every_event_type_is_documented_in_its_current_version() -> None:
    documented = {heading for heading in CONTRACT if re.fullmatch(r"[a-z]+\.[a-z_]+, version \d+", heading)}
    assert documented == {f"{entry.name}, version {entry.version}" for entry in REGISTRY.values()}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_field_of_an_event_is_documented_with_its_type(name: str) -> None:
    entry = REGISTRY[name]
    documented = rows(CONTRACT[f"{name}, version {entry.version}"])
    assert [(row[0].strip("`"), row[1]) for row in documented] == fields_in_words(entry.struct)
    assert all(row[2] for row in documented), "a field without its meaning"


@pytest.mark.parametrize("name", sorted(objects()))
def test_every_field_of_an_object_is_documented_with_its_type_and_default(name: str) -> None:
    documented = rows(CONTRACT[name])
    assert [(row[0].strip("`"), row[1]) for row in documented] == fields_in_words(objects()[name])
    defaults = defaults_in_words(objects()[name])
    assert {row[0].strip("`"): row[2] for row in documented if row[0].strip("`") in defaults} == defaults
    assert all(row[3] for row in documented), "a field without its meaning"


def test_no_object_is_documented_that_does_not_exist() -> None:
    documented = {heading for heading in CONTRACT if re.fullmatch(r"([A-Z][a-z]+){2,}", heading)}
    assert documented - {"CloudEvents"} <= set(objects())


def test_the_envelope_is_documented() -> None:
    assert names(CONTRACT["Envelope"]) == list(RecordedEvent.__struct_fields__)
    assert names(CONTRACT["Metadata"]) == list(Metadata.__struct_fields__)


def test_every_category_of_streams_is_documented() -> None:
    assert names(CONTRACT["Streams"]) == [f"{category}-" for category in get_args(Category)]


def test_the_attributes_of_cloud_events_are_documented() -> None:
    event = RecordedEvent(
        position=1,
        id=UUID(int=1),
        stream="report-1",
        stream_version=1,
        event_type="report.created",
        schema_version=1,
        team_id="t",
        user_id=UUID(int=2),
        workflow_id="w",
        step_completed="review",
        configuration="{}",
        metadata='{"correlation_id":"a","causation_id":"b","trace_id":"c"}',
        recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert names(CONTRACT["CloudEvents"]) == list(msgspec.json.decode(cloud_event(event, Epochs())))


def test_queues_and_their_messages_are_documented() -> None:
    topology = Topology()
    documented = {
        name.replace("<lane>", lane).replace("<delay>", delay)
        for name in names(CONTRACT["Queues"])
        for lane in topology.work
        for delay in CONTRACT["Queues"].partition("<delay>` is one of ")[2].partition(".\n")[0].split(", ")
    }
    assert documented == {queue.name for queue in topology.declarations()}
    assert [(row[0].strip("`"), row[1]) for row in rows(CONTRACT["Step message"])] == fields_in_words(StepMessage)


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_every_column_of_a_read_model_is_documented(table: str) -> None:
    columns = next(list(each.row.__struct_fields__) for each in TABLES if each.name == table)
    documented = [name for row in rows(CONTRACT[table]) for name in re.findall(r"`(\w+)`", row[0])]
    assert documented == columns


def test_every_other_table_and_view_is_documented() -> None:
    there = {path.stem for folder in ("tables", "views") for path in (ROOT / "db" / "sql" / folder).glob("*.sql")}
    documented = {name for row in rows(CONTRACT["Others"]) for name in re.findall(r"`(\w+)`", row[0])}
    others = there - {table.name for table in TABLES} - {"report_builder_audit"}
    assert documented == others | {"schema_objects"}


def test_every_state_is_documented() -> None:
    assert names(CONTRACT["Segment status"]) == ["pending", *COUNTERS]
    assert sorted(names(CONTRACT["Backfill status"])) == sorted(get_args(BackfillStatus))
    assert names(CONTRACT["Schedule status"]) == list(get_args(ScheduleStatus))


def test_every_route_is_documented_and_no_other() -> None:
    assert sorted(ROUTES) == sorted(f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_a_route_is_documented_with_its_scope_statuses_query_and_body(endpoint: Endpoint) -> None:
    scope, statuses, takes, answer = ROUTES[f"{endpoint.method} {endpoint.path}"]
    assert scope == f"`{'public' if endpoint.public else endpoint.scope or 'any'}`"
    assert statuses == ", ".join(map(str, (endpoint.status, *endpoint.also)))
    bodies = structs_beside(inspect.type_info(endpoint.body)) if endpoint.body else ()
    assert re.findall(r"\[(\w+)\]\(#", takes) == [struct.__name__ for struct in bodies]
    assert re.findall(r"`(\w+)`", takes) == [name for name, _ in fields_in_words(endpoint.query or Query)]
    assert answer


def test_every_parameter_of_every_query_is_documented_and_no_other() -> None:
    documented: dict[tuple[str, str], list[str]] = {}
    for name, paths, *described in rows(CONTRACT["Queries"]):
        for path in re.findall("`([^`]+)`", paths) or [""]:
            assert documented.setdefault((name.strip("`"), path), described) is described, "documented twice"
    used = set()
    for endpoint in ENDPOINTS:
        for name, type in fields_in_words(endpoint.query or Query):
            row = (name, endpoint.path) if (name, endpoint.path) in documented else (name, "")
            assert documented[row][:2] == [type, defaults_in_words(endpoint.query or Query)[name]], endpoint.path
            assert documented[row][2], "a parameter without its meaning"
            used.add(row)
    assert used == set(documented)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_field_of_an_answer_is_named_where_its_route_leads(endpoint: Endpoint) -> None:
    """In the route's own row, or in the sections that its links lead to, three links away at most."""
    text = ROUTES[f"{endpoint.method} {endpoint.path}"][-1]
    for _ in range(3):
        text += "".join(SECTIONS_BY_ANCHOR[anchor] for anchor in set(re.findall(r"\]\(#([^)]+)\)", text)))
    missing = fields_of_answer(endpoint) - set(re.findall(r"`(\w+)`", text))
    assert not missing


def test_no_field_of_an_answer_is_documented_that_does_not_exist() -> None:
    fields = set[str]().union(*map(fields_of_answer, ENDPOINTS))
    headings = list(CONTRACT)
    for heading in headings[headings.index("Answers") + 1 :]:
        named = {name for row in rows(CONTRACT[heading]) for name in re.findall(r"`([\w.]+)`", row[0])}
        assert {name.rpartition(".")[2] for name in named} <= fields, heading


def fields_of_answer(endpoint: Endpoint) -> set[str]:
    """Names of all fields that a JSON answer may have, down to the objects that have sections of their own."""
    if not (isinstance(endpoint.answer, type) and issubclass(endpoint.answer, msgspec.Struct)):
        return set()
    elsewhere = {*objects().values(), *(entry.struct for entry in REGISTRY.values())}
    found = set(structs_in(inspect.type_info(endpoint.answer), elsewhere)) - elsewhere
    return {field.encode_name for struct in found for field in msgspec.structs.fields(struct)}


def structs_beside(kind: inspect.Type) -> list[type[msgspec.Struct]]:
    """The structs that a type may be, one or several."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [option.cls for option in options if isinstance(option, inspect.StructType)]


def test_limits_are_documented_as_they_are() -> None:
    text = (DOCS / "contract.md").read_text("utf-8")
    assert f"at most {MAX_BODY // 2**20} MiB" in text
    assert f"at most {MAX_BODY_BYTES // 2**20} MiB" in text
