"""Decisions from memory: whatever another process does meanwhile, the outcome is that of a decision from the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from events.append import Appended, AppendRequest
from events.envelope import stream_of
from events.reader import read_stream
from events.writer import LogUnavailable
from service.bootstrap import running
from service.builder.models import REPORTS
from service.footing import Footing, Memory
from service.roles import Role
from service.settings import Settings
from tests.postgres import Server
from tests.service import INSTANCE, INSTANCE_ID, ONCE, UNKNOWN_ID, WEEK, Client, Service

API: tuple[Role, ...] = ("api",)
STEP = {"instance_id": INSTANCE_ID, "lookback_config": WEEK}
CATALOGUE = {"name": "Values", "sql_query": "SELECT date, SUM(value) AS value FROM numbers GROUP BY date"}


class Pair:
    """Two API processes over one database, and what the first reads of streams. The second's appends come to the first
    only by the log, which it does not follow here: so it remembers what the second has long since changed."""

    def __init__(
        self, one: Client, other: Client, reads: list[tuple[str, ...]], memories: list[Memory], program: Any
    ) -> None:
        self.one = one
        self.memories = memories
        self.other = other
        self.reads = reads
        self.program = program


@pytest_asyncio.fixture
async def pair(postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    async def deaf(memory: Memory, feed: object) -> None:
        memories.append(memory)
        await asyncio.Event().wait()

    memories: list[Memory] = []
    reads: list[tuple[str, ...]] = []
    looked_up = Footing.look_up

    async def counted(footing: Footing, *streams: str) -> None:
        before = set(footing._found)
        await looked_up(footing, *streams)
        if found := tuple(sorted(set(footing._found) - before - footing.remembered)):
            reads.append(found)

    monkeypatch.setattr(Memory, "follow", deaf)
    monkeypatch.setattr(Footing, "look_up", counted)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(postgres_server.fresh_database())
        clients, programs = [], []
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            settings = Settings(data_dir=folder, database_url=database.service_url, port=0)
            programs.append(await stack.enter_async_context(running(settings, API)))
            http = await stack.enter_async_context(aiohttp.ClientSession(programs[-1].api_url))
            clients.append(Client(http))
        yield Pair(clients[0], clients[1], reads, memories, programs[0])


async def test_what_is_remembered_is_not_read_again(pair: Pair) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", step)
    pair.reads.clear()
    await pair.one.done(f"{path}/parameters", step)
    await pair.one.done(f"{path}/schedule", ONCE)
    assert pair.reads == []


async def test_what_is_remembered_is_what_the_log_says(pair: Pair) -> None:
    path, review = await pair.one.reviewed(workflow=await pair.one.workflow())
    await pair.one.done(f"{path}/submit", {"digest": review["digest"]})
    report_id = path.rpartition("/")[2]
    pool = pair.program.pool
    memory = Memory([REPORTS])
    folded = memory.folded(stream_of("report", report_id), await read_stream(pool, stream_of("report", report_id)))
    found = pair.memories[0].find(stream_of("report", report_id))
    assert folded is not None
    assert found is not None
    assert (found.version, found.state) == (folded.version, folded.state)


async def test_a_workflow_that_changed_elsewhere_is_decided_on_as_it_is_now(pair: Pair) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", step)
    declared = [{"name": "who", "data_type": "STRING"}]
    changed = {**CATALOGUE, "sql_query": f"{CATALOGUE['sql_query']} -- CUSTOM_PARAMETER('who')", "parameters": declared}
    answer = await pair.other.send("PUT", f"/api/workflows/{step['workflow_id']}", changed)
    assert answer.status == 200, answer.body
    answer = await pair.one.post(f"{path}/parameters", step)
    assert (answer.status, answer.pointers) == (422, ["/parameters/who"])
    await pair.one.done(f"{path}/parameters", {**step, "parameters": {"who": "me"}})


async def test_a_parameter_that_became_personal_elsewhere_is_not_recorded_in_the_open(pair: Pair) -> None:
    declared = {"name": "who", "data_type": "STRING"}
    with_who = f"{CATALOGUE['sql_query']} HAVING CUSTOM_PARAMETER('who') = 'x'"
    step = await _step(pair.one, {"sql_query": with_who, "parameters": [declared]})
    step["parameters"] = {"who": "Ann Example"}
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", {**step, "parameters": {"who": "nobody"}})
    changed = {**CATALOGUE, "sql_query": with_who, "parameters": [{**declared, "personal": True}]}
    assert (await pair.other.send("PUT", f"/api/workflows/{step['workflow_id']}", changed)).status == 200
    await pair.one.post(f"{path}/parameters", step)
    rows = await pair.program.pool.fetch("SELECT configuration::text AS body FROM report_builder_audit")
    assert not any("Ann Example" in row["body"] for row in rows)


async def test_an_archived_workflow_is_refused_and_one_that_is_back_is_taken(pair: Pair) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", step)
    workflow = f"/api/workflows/{step['workflow_id']}"
    await pair.other.done(f"{workflow}/archive", {})
    assert (await pair.one.post(f"{path}/parameters", step)).pointers == ["/workflow_id"]
    await pair.other.done(f"{workflow}/unarchive", {})
    await pair.one.done(f"{path}/parameters", step)  # a refusal from memory would be wrong now


async def test_an_instance_that_changed_elsewhere_counts_as_it_is_now(pair: Pair) -> None:
    step = await _step(pair.one)
    step["lookback_config"] = {**WEEK, "value": 90}
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", step)
    for days, status in ((30, 422), (400, 200)):
        change = {"retention_days": days}
        answer = await pair.other.send("PATCH", f"/api/instances/{INSTANCE_ID}", change)
        assert answer.status == 200, answer.body
        assert (await pair.one.post(f"{path}/parameters", step)).status == status


async def test_steps_taken_elsewhere_are_built_upon(pair: Pair) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", step)
    await pair.other.done(f"{path}/schedule", ONCE)
    answered = await pair.one.done(f"{path}/parameters", step)
    assert (answered["version"], answered["schedule"]) == (4, {"schedule_type": "once", "segmentation_config": None})


async def test_a_version_is_stale_or_not_by_the_log(pair: Pair) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    await pair.one.done(f"{path}/parameters", step)
    await pair.other.done(f"{path}/schedule", ONCE)
    refused = await pair.one.post(f"{path}/parameters", step, If_Match='"2"')
    assert (refused.status, refused.json["actual_version"]) == (412, 3)
    assert (await pair.one.post(f"{path}/parameters", step, If_Match='"3"')).status == 200
    # The other remembers version 3, and takes the tag of the version that it has not seen.
    assert (await pair.other.post(f"{path}/parameters", step, If_Match='"4"')).status == 200


async def test_a_report_that_was_submitted_elsewhere_takes_no_more_steps(pair: Pair) -> None:
    path, review = await pair.one.reviewed(workflow=await pair.one.workflow())
    await pair.other.done(f"{path}/submit", {"digest": review["digest"]})
    for step in ("schedule", "submit"):
        body: Any = ONCE if step == "schedule" else {"digest": review["digest"]}
        answer = await pair.one.post(f"{path}/{step}", body)
        assert (answer.status, answer.json["code"]) == (409, "already_submitted")


async def test_a_submission_stands_on_the_workflow_as_it_is_now(pair: Pair) -> None:
    workflow = await pair.one.workflow()
    path, review = await pair.one.reviewed(workflow=workflow)
    changed = {**CATALOGUE, "sql_query": f"{CATALOGUE['sql_query']} ORDER BY date"}
    assert (await pair.other.send("PUT", f"/api/workflows/{workflow}", changed)).status == 200
    answer = await pair.one.post(f"{path}/submit", {"digest": review["digest"]})
    assert (answer.status, answer.json["code"]) == (409, "not_reviewed")


async def test_a_change_between_decision_and_append_leads_to_another_decision(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the decision was made from the log: today's workflow is what is asserted, not an older one."""
    step = await _step(pair.one)
    path = await pair.one.report()
    append, changes = pair.program.writer.append, 3

    async def after_a_change(request: AppendRequest) -> Appended:
        nonlocal changes
        if changes:
            changes -= 1
            changed = {**CATALOGUE, "name": f"Values {changes}"}
            assert (await pair.other.send("PUT", f"/api/workflows/{step['workflow_id']}", changed)).status == 200
        appended: Appended = await append(request)
        return appended

    monkeypatch.setattr(pair.program.writer, "append", after_a_change)
    await pair.one.done(f"{path}/parameters", step)
    assert changes == 0


async def test_a_report_that_is_not_there_is_found_once_it_is(pair: Pair) -> None:
    step = await _step(pair.one)
    assert (await pair.one.post(f"/api/reports/{UNKNOWN_ID}/parameters", step)).status == 404
    path = await pair.other.report()
    await pair.one.done(f"{path}/parameters", step)


async def test_a_step_whose_commit_was_not_heard_of_is_there_all_the_same(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    append = pair.program.writer.append

    async def unheard(request: AppendRequest) -> Appended:
        await append(request)
        raise LogUnavailable("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(pair.program.writer, "append", unheard)
        assert (await pair.one.post(f"{path}/parameters", step)).status == 503
    answered = await pair.one.done(f"{path}/schedule", ONCE)  # from memory there would be no parameters yet
    assert (answered["version"], answered["next_step"]) == (3, "review")


async def test_a_process_that_follows_the_log_knows_what_is_begun_and_changed(api: Service) -> None:
    step = await _step(api)
    known_too_late = await api.report()
    memory = Memory([REPORTS])
    feed = api.program.feed
    assert await feed.wait_beyond((await api.done("/api/reports", {}))["position"] - 1, timeout=10)
    follows = asyncio.create_task(memory.follow(feed))
    try:
        await asyncio.sleep(0)
        begun = await api.report()
        for path in (known_too_late, begun):
            await api.done(f"{path}/parameters", step)
        async with asyncio.timeout(10):
            while (known := memory.find(_stream(begun))) is None or known.version < 2:
                await asyncio.sleep(0.01)
        assert known.state.parameters.workflow_id == step["workflow_id"]
        assert memory.find(_stream(known_too_late)) is None
    finally:
        follows.cancel()


async def test_the_same_key_is_answered_the_same_bytes_by_whoever_is_asked(pair: Pair) -> None:
    step = await _step(pair.one)
    path = await pair.one.report()
    answers = [
        await client.post(f"{path}/parameters", step, Idempotency_Key="k")
        for client in (pair.one, pair.other, pair.one)
    ]
    assert {answer.status for answer in answers} == {200}
    assert len({(answer.body, answer.headers["ETag"]) for answer in answers}) == 1


async def test_many_at_once_on_both_sides_lose_nothing(pair: Pair) -> None:
    """Each step that was answered 200 is in the log, once, at the version that was answered."""
    step = await _step(pair.one)
    path = await pair.one.report()
    answers = await asyncio.gather(
        *(client.post(f"{path}/parameters", step) for client in (pair.one, pair.other) for _ in range(10))
    )
    taken = sorted(answer.json["version"] for answer in answers if answer.status == 200)
    assert {answer.status for answer in answers} <= {200, 409}
    stream = stream_of("report", path.rpartition("/")[2])
    assert taken == [event.stream_version for event in (await read_stream(pair.program.pool, stream))[1:]]


def _stream(path: str) -> str:
    return stream_of("report", path.rpartition("/")[2])


async def _step(client: Client, workflow: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parameters step on a workflow of its own."""
    assert (await client.post("/api/instances", INSTANCE)).status in (201, 409)
    saved = await client.done("/api/workflows", {**CATALOGUE, **(workflow or {})})
    return {**STEP, "workflow_id": saved["workflow_id"]}
