"""What the query string may say, and how each endpoint says what it takes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import pytest
from msgspec import Meta
from starlette.requests import Request

from service.endpoints import Query, read_query
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
