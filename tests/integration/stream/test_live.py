"""`GET /api/events/stream`: catch up, then live, and nothing lost or repeated however a reader comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.postgres import Database
from tests.service import Service, serving, settings_for


class Frame(msgspec.Struct, frozen=True):
    """One server-sent event; a comment has its text in `comment` alone."""

    id: int | None = None
    event: str = ""
    data: str = ""
    comment: str = ""

    @property
    def json(self) -> dict[str, object]:
        value: dict[str, object] = msgspec.json.decode(self.data)
        return value


class Reader:
    """A live stream as it comes in."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, seconds: float = 10) -> Frame:
        fields: dict[str, str] = {}
        async with asyncio.timeout(seconds):
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                if line.startswith(":"):
                    fields["comment"] = line[1:].strip()
                else:
                    name, _, value = line.partition(": ")
                    fields[name] = value
        if not fields:
            raise EOFError
        if "retry" in fields:
            return await self.next(seconds)
        number = fields.get("id")
        return Frame(
            int(number) if number else None,
            fields.get("event", ""),
            fields.get("data", ""),
            fields.get("comment", ""),
        )

    async def until(self, event: str) -> list[Frame]:
        frames = [await self.next()]
        while frames[-1].event != event:
            frames.append(await self.next())
        return frames

    async def events(self, count: int) -> list[Frame]:
        """The next events of the log, without the frames between them."""
        frames: list[Frame] = []
        while len(frames) < count:
            frame = await self.next()
            if frame.id is not None and frame.event != "checkpoint":
                frames.append(frame)
        return frames


@asynccontextmanager
async def reading(api: Service, query: str = "", **headers: str) -> AsyncIterator[Reader]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.http.get(f"/api/events/stream{query}", headers=sent) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Reader(response)


def tasks() -> int:
    return len(asyncio.all_tasks())


async def test_a_reader_catches_up_and_then_hears_live(api: Service) -> None:
    for _ in range(3):
        await api.report()
    await api.program.feed.wait_beyond(2)
    async with reading(api) as reader:
        frames = await reader.until("caught-up")
        assert [frame.id for frame in frames] == [1, 2, 3, None]
        assert frames[-1].json == {"position": 3, "epoch": 1}
        first = frames[0]
        assert first.event == first.json["type"] == "report.created"
        assert first.json["sequence"] == f"{first.id:020}"
        started = time.monotonic()
        await api.report()
        (live,) = await reader.events(1)
        assert live.id == 4
        assert time.monotonic() - started < 2


async def test_a_stream_is_what_the_pages_are(api: Service) -> None:
    await api.submitted()
    pages = (await api.read("/api/events?limit=1000"))["events"]
    async with reading(api) as reader:
        frames = await reader.events(len(pages))
    assert [frame.json for frame in frames] == pages


async def test_a_reader_that_comes_back_again_and_again_loses_and_repeats_nothing(api: Service) -> None:
    total = 60

    async def write() -> None:
        for _ in range(total // 3):
            await asyncio.gather(*(api.report() for _ in range(3)))

    writing = asyncio.create_task(write())
    seen: list[int] = []
    while len(seen) < total:
        headers = {"Last_Event_ID": str(seen[-1])} if seen else {}
        async with reading(api, **headers) as reader:
            for frame in await reader.events(min(7, total - len(seen))):
                assert frame.id is not None
                seen.append(frame.id)
    await writing
    assert seen == list(range(1, total + 1))


async def test_after_and_last_event_id_the_later_one_counts(api: Service) -> None:
    for _ in range(5):
        await api.report()
    for query, headers, first in (
        ("?after=3", {}, 4),
        ("?after=3", {"Last_Event_ID": "1"}, 4),
        ("?after=1", {"Last_Event_ID": "4"}, 5),
    ):
        async with reading(api, query, **headers) as reader:
            assert (await reader.next()).id == first


@pytest.mark.parametrize("id", ["²", "-1", "x", "9" * 30])
async def test_a_last_event_id_that_is_no_position_is_refused(api: Service, id: str) -> None:
    answer = await api.get("/api/events/stream", Last_Event_ID=id)
    assert (answer.status, answer.json["code"]) == (400, "bad_request")


async def test_two_readers_get_the_same_and_filters_tell_how_far_they_are(api: Service) -> None:
    async with reading(api) as all_events, reading(api, "?type=workflow.created") as quiet:
        assert (await all_events.next()).event == (await quiet.next()).event == "caught-up"
        for _ in range(3):
            await api.report()
        await api.done("/api/workflows", {"name": "W", "sql_query": "SELECT 1"})
        assert [frame.id for frame in await all_events.events(4)] == [1, 2, 3, 4]
        frames = await quiet.until("workflow.created")
        assert frames[-1].id == 4
        checkpoints = [frame for frame in frames if frame.event == "checkpoint"]
        assert checkpoints
        assert all(frame.json == {"position": frame.id, "epoch": 1} for frame in checkpoints)
        assert len(frames) == len(checkpoints) + 1


async def test_a_quiet_filter_that_catches_up_gets_a_checkpoint_to_resume_from(api: Service) -> None:
    for _ in range(4):
        await api.report()
    await api.program.feed.wait_beyond(3)
    async with reading(api, "?stream=report-nobody") as reader:
        frames = await reader.until("caught-up")
    assert [(frame.event, frame.id) for frame in frames] == [("checkpoint", 4), ("caught-up", None)]


async def test_a_quiet_stream_is_kept_alive_by_comments(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.stream.routes.KEEP_ALIVE", 0.05)
    async with reading(api) as reader:
        assert (await reader.next()).event == "caught-up"
        assert [(await reader.next()).comment for _ in range(3)] == ["keep-alive"] * 3
        await api.report()
        assert (await reader.events(1))[0].id == 1


async def test_a_reader_that_goes_away_leaves_no_task_behind(api: Service) -> None:
    await api.report()
    await api.read("/healthz")
    before = tasks()
    for _ in range(5):
        async with reading(api) as reader:
            await reader.until("caught-up")
            assert tasks() > before
    async with asyncio.timeout(5):
        while tasks() > before:
            await asyncio.sleep(0.02)


async def test_a_reader_that_takes_nothing_is_cut_off(
    api: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.stream.routes.SEND_TIMEOUT", 0.2)
    sql = "SELECT " + "x" * 90_000
    for number in range(60):
        await api.done("/api/workflows", {"name": f"W{number}", "sql_query": sql})
    before = tasks()
    host, port = str(api.program.api_url).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.sleep(0.1)
    assert tasks() > before
    async with asyncio.timeout(5):
        while tasks() > before:
            await asyncio.sleep(0.02)
    received = b""
    while piece := await reader.read(1_000_000):
        received += piece
    assert 0 < received.count(b"event: workflow.created") < 60
    writer.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_head_request_has_no_stream(api: Service) -> None:
    answer = await api.send("HEAD", "/api/events/stream")
    assert (answer.status, answer.body) == (200, b"")


async def test_the_end_of_the_service_ends_its_streams_at_once(database: Database, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        async with serving(settings_for(database, tmp_path)) as service:
            url = f"{service.program.api_url}/api/events/stream"
            response = await http.get(url)
            await Reader(response).until("caught-up")
            ending = time.monotonic()
        assert time.monotonic() - ending < 3
        with pytest.raises(EOFError):
            await Reader(response).next()
