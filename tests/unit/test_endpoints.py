"""What the query string may say, and how each endpoint says what it takes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import pytest
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from service.endpoints import Endpoint, Header, Position, Query, path_id, read_query
from service.problems import Refused


class Example(Query, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10)] = 5
    kind: Literal["a", "b"] | None = None
    flag: bool = False
    day: date | None = None
    type: tuple[str, ...] = ()


def query(text: str) -> Request:
    return Request({"type": "http", "query_string": text.encode(), "headers": []})


def test_values_are_read_as_what_they_are_meant_to_be() -> None:
    given = read_query(query("limit=3&kind=b&flag=true&day=2026-03-08&type=x&type=y"), Example)
    assert given == Example(limit=3, kind="b", flag=True, day=date(2026, 3, 8), type=("x", "y"))
    assert read_query(query(""), Example) == Example()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=+1", "limit"),
        ("limit=null", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=%C2%B2", "limit"),
        ("kind=c", "kind"),
        ("flag=yes", "flag"),
        ("day=2026-02-30", "day"),
        ("type=%00", "type"),
        ("limit=1&limit=2", "limit"),
        ("limt=1", "limt"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(Refused, match=named) as refused:
        read_query(query(text), Example)
    assert refused.value.code == "bad_request"


async def respond(request: Request) -> Response:
    return Response(status_code=204)


WRITE = Endpoint(
    "POST",
    "/things/{thing_id}",
    respond,
    summary="Change a thing",
    body=Example,
    answer=dict[str, str],
    public=True,
    refusals=("stale",),
    headers=(Header("Last-Event-ID", Position, "The last one.", 42),),
)


def sent(**headers: str) -> Request:
    raw = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/things/1", "query_string": b"", "headers": raw})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Idempotency_Key": "a key, of 1 to 200 characters"},
        {"If_Match": "*"},
        {"If_Match": '"3"'},
        {"If_Match": 'W/"3", 4'},
        {"Last_Event_ID": "0"},
        {"Other": "é"},
    ],
)
async def test_headers_that_can_be_read_reach_the_handler(headers: dict[str, str]) -> None:
    assert (await WRITE.endpoint(sent(**headers))).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency_Key": ""},
        {"Idempotency_Key": "é"},
        {"Idempotency_Key": "x" * 201},
        {"Last_Event_ID": "-1"},
        {"Last_Event_ID": "x"},
        {"Last_Event_ID": "9" * 5000},
    ],
)
async def test_a_header_that_cannot_be_read_is_refused_by_name(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        await WRITE.endpoint(sent(**headers))
    assert refused.value.code == "bad_request"
    assert next(iter(headers)).replace("_", "-") in refused.value.detail


@pytest.mark.parametrize("id", ["6f9619ff8b864011b42d00c04fc964ff", "{6f9619ff-8b86-4011-b42d-00c04fc964ff}", "x", ""])
def test_an_id_has_one_form_and_what_has_another_is_not_there(id: str) -> None:
    with pytest.raises(Refused, match="thing's id") as refused:
        path_id(Request({"type": "http", "path_params": {"thing_id": id}}), "thing_id", "thing")
    assert refused.value.code == "not_found"
