"""`GET /api/events`: the log by page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from tests.service import ONCE, STEPS, Service


async def everything(api: Service, query: str = "", limit: int = 3) -> list[Any]:
    found: list[Any] = []
    after, more = 0, True
    while more:
        page = await api.read(f"/api/events?after={after}&limit={limit}{query}")
        assert len(page["events"]) <= limit
        found += page["events"]
        after, more = page["next_after"], page["more"]
    return found


async def test_pages_add_up_to_the_log(api: Service) -> None:
    await api.submitted()
    events = await everything(api)
    count = await api.program.pool.fetchval("SELECT count(*) FROM report_builder_audit")
    assert [int(event["sequence"]) for event in events] == list(range(1, count + 1))
    page = await api.read(f"/api/events?after={count - 3}&limit=3")
    assert (page["next_after"], page["more"]) == (count, False)
    page = await api.read(f"/api/events?after={count}")
    assert page == {"events": [], "next_after": count, "more": False, "head": count, "epoch": 1}


async def test_filters_by_type_stream_and_workflow(api: Service) -> None:
    workflow = await api.workflow()
    path, review = await api.reviewed(workflow=workflow)
    await api.submitted()
    stream = f"report-{path.rpartition('/')[2]}"
    found = await everything(api, f"&stream={stream}")
    assert [event["type"] for event in found] == [
        "report.created", "report.parameters_set", "report.schedule_set", "report.reviewed"
    ]  # fmt: skip
    assert {event["subject"] for event in found} == {stream}
    assert [event["streamversion"] for event in found] == [1, 2, 3, 4]
    found = await everything(api, "&type=report.created&type=workflow.created")
    assert {event["type"] for event in found} == {"report.created", "workflow.created"}
    found = await everything(api, f"&workflow={workflow}")
    assert {event["workflowid"] for event in found} == {workflow}
    assert found[0]["type"] == "workflow.created"
    assert await everything(api, f"&workflow={workflow}&type=report.created") == []
    assert review["digest"] in {event["data"].get("digest") for event in await everything(api)}


async def test_events_are_cloud_events(api: Service) -> None:
    submitted = await api.submitted(ONCE)
    events = await everything(api, limit=1000)
    for event in events:
        assert event["specversion"] == "1.0"
        assert event["source"]
        assert event["datacontenttype"] == "application/json"
        assert len(event["sequence"]) == 20
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        assert event["dataschema"].endswith(f"/{event['type']}/1.json")
        assert all(name.isalnum() and name == name.lower() for name in event)
        assert None not in event.values()
        assert isinstance(event["data"], dict)
    assert len({event["id"] for event in events}) == len(events)
    assert [event["stepcompleted"] for event in events if "stepcompleted" in event] == list(STEPS)
    (created,) = [event for event in events if event["type"] == "collection.created"]
    assert created["subject"] == f"collection-{submitted['collection_id']}"
    assert created["correlationid"] == submitted["collection_id"]
    assert created["causationid"] == submitted["report_id"]


async def test_data_is_what_is_stored_byte_for_byte(api: Service) -> None:
    await api.done("/api/workflows", {"name": 'ü "\\', "sql_query": "SELECT 1.50", "parameters": []})
    answer = await api.get("/api/events")
    stored = await api.program.pool.fetchval("SELECT configuration::text FROM report_builder_audit")
    assert stored.encode() in answer.body


async def test_ndjson_has_one_event_a_line_and_says_where_to_go_on(api: Service) -> None:
    await api.submitted()
    answer = await api.get("/api/events?limit=4", Accept="application/x-ndjson")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = answer.body.splitlines()
    assert [int(msgspec.json.decode(line)["sequence"]) for line in lines] == [1, 2, 3, 4]
    assert (answer.headers["Next-After"], answer.headers["More"]) == ("4", "true")


async def test_a_page_looks_at_a_bounded_part_of_the_log(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.stream.pages.MAX_LOOKED_AT", 5)
    monkeypatch.setattr("events.ranges.RANGE", 5)
    for _ in range(12):
        await api.report()
    page = await api.read("/api/events?type=nothing.happened")
    assert page["events"] == []
    assert page["next_after"] >= 5
    assert await everything(api, "&type=nothing.happened") == []
