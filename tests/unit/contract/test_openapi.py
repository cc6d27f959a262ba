"""The OpenAPI document: valid, complete, and made from what the endpoints say of themselves."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from msgspec import Meta
from openapi_spec_validator import validate

from events.validation import Body
from service.app import create_app
from service.auth.edge import SHOWN_HEADERS
from service.contract.openapi import openapi
from service.endpoints import Answer, Endpoint, Header, Query
from service.problems import CATALOGUE


async def _endpoints() -> list[Endpoint]:
    app = create_app(Mock())
    return [route for route in app.routes if isinstance(route, Endpoint)]


ENDPOINTS = asyncio.run(_endpoints())
DOCUMENT = openapi(ENDPOINTS, anonymous=True)
OPERATIONS = {(path, method): each for path, group in DOCUMENT["paths"].items() for method, each in group.items()}


class MakeThing(Body, frozen=True, kw_only=True):
    """Makes a thing."""

    name: Annotated[str, Meta(min_length=1)]


class Thing(Answer, frozen=True, kw_only=True):
    """A thing."""

    thing_id: UUID
    version: int
    position: int = 0


class Which(Query, frozen=True, kw_only=True):
    min_position: Annotated[int, Meta(ge=0, le=9)] = 0


async def handler(request: Any) -> Any: ...


def operation(method: Any, path: str, *others: Endpoint, anonymous: bool = False, **more: Any) -> Any:
    """The operation of one endpoint as the document has it."""
    endpoint = Endpoint(method, path, handler, summary="Do", answer=more.pop("answer", Thing), **more)
    return openapi([endpoint, *others], anonymous=anonymous)["paths"][endpoint.path_format][method.lower()]


def codes(response: str, document: dict[str, Any]) -> list[str]:
    content = document["components"]["responses"][response.rpartition("/")[2]]["content"]
    found: list[str] = content["application/problem+json"]["schema"]["properties"]["code"]["enum"]
    return found


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_every_endpoint_is_in_it_under_a_name_of_its_own() -> None:
    assert set(OPERATIONS) == {(endpoint.path_format, endpoint.method.lower()) for endpoint in ENDPOINTS}
    assert len({each["operationId"] for each in OPERATIONS.values()}) == len(OPERATIONS)
    assert all(re.fullmatch("[a-z0-9_]+", each["operationId"]) for each in OPERATIONS.values())


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=[" ".join(key) for key in OPERATIONS])
def test_every_refusal_has_a_status_of_the_catalogue(operation: Any) -> None:
    for status, response in operation["responses"].items():
        if "$ref" in response:
            assert {CATALOGUE[code][0] for code in codes(response["$ref"], DOCUMENT)} == {int(status)}


def test_a_write_takes_a_key_and_may_be_refused_for_its_body() -> None:
    made = operation("POST", "/api/things", body=MakeThing, scope="reports:write", status=201)
    assert [each["name"] for each in made["parameters"]] == ["Idempotency-Key"]
    assert made["requestBody"]["required"]
    assert {"201", "400", "403", "413", "422", "500", "503"} <= set(made["responses"])
    assert made["responses"]["201"]["headers"]["ETag"]
    assert made["security"] == [{"bearer": ["reports:write"]}]


def test_where_callers_without_credentials_are_let_in_it_says_so() -> None:
    assert {} in operation("GET", "/api/things", anonymous=True)["security"]
    assert {} not in operation("GET", "/api/things")["security"]
    assert "security" not in operation("GET", "/api/things", public=True)


def test_a_path_asks_for_ids_in_the_form_in_which_answers_give_them() -> None:
    read = operation("GET", "/api/things/{thing_id}/parts/{part}")
    assert [(each["name"], each["schema"].get("format")) for each in read["parameters"]] == [
        ("thing_id", "uuid"),
        ("part", None),
    ]
    assert "404" in read["responses"]


def test_what_was_made_leads_to_where_it_is_read() -> None:
    read = Endpoint("GET", "/api/things/{thing_id}", handler, summary="Read", answer=Thing, query=Which)
    made = operation("POST", "/api/things", read, body=MakeThing, status=201)
    assert made["responses"]["201"]["links"] == {
        "get_things_thing_id": {
            "operationId": "get_things_thing_id",
            "parameters": {"thing_id": "$response.body#/thing_id", "min_position": "$response.body#/position"},
        }
    }


def test_headers_other_answers_and_other_media_types_are_in_it() -> None:
    read = operation(
        "GET",
        "/api/things",
        headers=(Header("Last-Event-ID", int, "The last one.", 42),),
        media=("application/x-ndjson",),
        also={503: Thing},
        refusals=("stale",),
    )
    assert [each["name"] for each in read["parameters"]] == ["If-Match", "Last-Event-ID"]
    assert set(read["responses"]["200"]["content"]) == {"application/json", "application/x-ndjson"}
    assert set(read["responses"]["503"]["content"]) == {"application/json", "application/problem+json"}
    raw = operation("GET", "/api/things", answer=("text/csv; charset=utf-8",))
    assert raw["responses"]["200"]["content"] == {"text/csv": {"schema": {"type": "string"}}}


@pytest.mark.parametrize("command", ["", "/{schedule_id}/resume"])
def test_what_counts_in_the_team_says_that_there_are_limits(command: str) -> None:
    responses = OPERATIONS[f"/api/schedules{command}", "post"]["responses"]
    assert {"too_many_schedules", "duplicate_schedule"} <= set(codes(responses["409"]["$ref"], DOCUMENT))


@pytest.mark.parametrize("path", [path for path, _ in OPERATIONS if "/results" in path])
def test_every_table_of_results_says_how_much_is_in_it_and_other_sites_may_read_it(path: str) -> None:
    headers = set(OPERATIONS[path, "get"]["responses"]["200"]["headers"])
    assert "Report-Segments" in headers
    assert headers <= set(SHOWN_HEADERS)


def test_a_refusal_that_the_catalogue_lacks_has_no_document() -> None:
    endpoint = Endpoint("GET", "/x", handler, summary="Do", answer=Thing, refusals=("no_such_code",))
    with pytest.raises(TypeError, match="no_such_code"):
        openapi([endpoint], anonymous=True)
