"""The contract's pages and schemas, as a browser and a reader of events get them."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from events.registry import REGISTRY
from service.problems import CATALOGUE
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api: Service) -> Service:
    return shared_api


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
async def test_a_page_needs_nothing_from_elsewhere_and_no_script(api: Service, path: str) -> None:
    answer = await api.get(path)
    page = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|style=|\son\w+=", page)
    loaded = re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page)
    assert loaded == ["/docs/style.css"]
    assert (await api.get("/docs/style.css")).headers["Content-Type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
async def test_every_link_of_a_page_leads_somewhere(api: Service, path: str) -> None:
    pages = {path: (await api.get(path)).body.decode()}
    for link in set(re.findall(r'href="([^"]*)"', pages[path])):
        target, _, anchor = link.partition("#")
        target = target or path
        if target not in pages:
            answer = await api.get(target)
            assert answer.status == 200, link
            pages[target] = answer.body.decode()
        assert not anchor or f'id="{anchor}"' in pages[target], link


async def test_the_page_has_every_operation_and_every_schema(api: Service) -> None:
    document = await api.read("/openapi.json")
    page = (await api.get("/docs")).body.decode()
    for group in document["paths"].values():
        for operation in group.values():
            assert f'id="{operation["operationId"]}"' in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page


async def test_the_type_of_every_problem_leads_to_its_explanation(api: Service) -> None:
    page = (await api.get("/docs/errors")).body.decode()
    for code in CATALOGUE:
        assert f'<h2 id="{code}">' in page
    problem = (await api.get("/api/nothing")).json
    target, _, anchor = problem["type"].partition("#")
    assert (target, anchor) == ("/docs/errors", "not_found")


async def test_events_are_as_the_schemas_that_they_name_say(api: Service) -> None:
    await api.submitted({"schedule_type": "backfill", "backfill_config": {"segmentation_config": {"type": "weekly"}}})
    events: list[Any] = (await api.read("/api/events?limit=1000"))["events"]
    checked = set()
    for event in events:
        schema = await api.read(event["dataschema"])
        assert schema["$id"] == event["dataschema"]
        jsonschema_rs.validate(schema, event["data"])
        checked.add(event["type"])
    assert {"report.submitted", "collection.created", "workflow.created", "instance.added"} <= checked


async def test_every_event_type_has_a_schema_and_nothing_else_has(api: Service) -> None:
    for entry in REGISTRY.values():
        answer = await api.get(f"/schemas/{entry.name}/{entry.version}.json")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/schema+json")
        jsonschema_rs.meta.validate(answer.json)
    for path in ("report.created/0", "report.created/01", "report.created/" + "9" * 5000, "report.nothing/1"):
        assert (await api.get(f"/schemas/{path}.json")).status == 404


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "QUERY"])
async def test_every_address_says_which_methods_it_takes(api: Service, method: str) -> None:
    document = await api.read("/openapi.json")
    for path, operations in document["paths"].items():
        takes = {each.upper() for each in operations} | ({"HEAD"} if "get" in operations else set())
        if method in takes:
            continue
        answer = await api.send(method, path.replace("{", "").replace("}", ""))
        assert answer.status == 405, path
        assert set(answer.headers["Allow"].split(", ")) == takes
        assert method == "HEAD" or answer.json["code"] == "method_not_allowed"
