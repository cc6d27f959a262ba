"""How long an event takes from its commit to many live readers, and what that costs the API's process: all readers take
everything, each over a connection of its own, while events are appended by another process at a steady rate.

It starts `python -m tests.bench.readers crowd URL READERS EVENTS` and `… writer DATABASE_URL RATE EVENTS`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import aiohttp
import msgspec
import uvloop

from db.pool import open_pool
from events.writer import AppendWriter
from tests.bench.lines import alone
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.processor import processor_seconds
from tests.bench.rounds import say
from tests.deployment import Api, Deployment
from tests.postgres import Database
from tests.recording import note, request

CROWDS = ((1, 50.0), (1000, 250.0))
"""Readers, and the milliseconds that 99 of 100 events may take at most from their commit to a reader."""

RATE = 200
SECONDS = 5
"""Of a round; what comes before its first event is not counted."""
WARM_UP = 2
TICK = 0.02
TIMED = 50
"""Of the readers so many look into each frame; they are spread over no order that the service knows of."""

MARK = b"\nevent: log."
"""What every event of the writer has once, right after its id, and nothing else does."""


class Found(msgspec.Struct, frozen=True):
    """Milliseconds from commit to reader, over every 20th event of every timed reader; `processor` is the share of one
    core that the API's process took."""

    p50: float
    p99: float
    processor: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms"


async def run(place: Place) -> Outcome:
    """Each crowd on a log of its own, in rounds that follow each other. Raises WrongRows where a reader has missed an
    event, or had one twice."""
    lines = []
    for readers, target in CROWDS:
        found = await _measure(place, readers)
        scenario = f"append to SSE reader, {readers:,} readers, {RATE} events/s"
        lines += [
            alone(scenario, "p50", "ms", [each.p50 for each in found], better="less"),
            alone(scenario, "p99", "ms", [each.p99 for each in found], better="less", target=target),
            alone(scenario, "API", "cores", [each.processor for each in found], better="less"),
        ]
    return Outcome(lines)


async def _measure(place: Place, readers: int) -> list[Found]:
    async with place.server.fresh_database() as database, api(place, database, readers) as (process, url):
        events = RATE * (WARM_UP + SECONDS * place.rounds)
        crowd = await start("crowd", url, str(readers), str(events))
        assert crowd.stdout is not None
        if await crowd.stdout.readline() != b"ready\n":
            raise WrongRows("the readers could not begin: what they said is above")
        writer = await start("writer", database.service_url, str(RATE), str(events))
        await asyncio.sleep(WARM_UP)
        used = [processor_seconds([process])]
        with place.profiler.processes(f"readers-{readers}", process):
            for _ in range(place.rounds):
                await asyncio.sleep(SECONDS)
                used.append(processor_seconds([process]))
        await writer.wait()
        told = await crowd.stdout.read()
        if not told:
            raise WrongRows(f"a reader of {readers} has missed an event, or had one twice: see above")
    latencies = msgspec.json.decode(told, type=list[list[float]])
    found = []
    for number, (before, after) in enumerate(pairwise(used)):
        # The first event of a round is at this position; every 20th is timed.
        first = RATE * (WARM_UP + SECONDS * number)
        timed = latencies[first // 20 : (first + RATE * SECONDS) // 20]
        window = sorted(latency for event in timed for latency in event)
        found.append(Found(_percentile(window, 50), _percentile(window, 99), (after - before) / SECONDS))
        say(f"readers, {readers}  round {number + 1}/{place.rounds}  {found[-1]}")
    return found


@asynccontextmanager
async def api(place: Place, database: Database, readers: int) -> AsyncIterator[tuple[int, str]]:
    """An API in a process of its own, which takes so many readers: its process id, and its address."""
    folder = Path(tempfile.mkdtemp(prefix="api-", dir=place.folder))
    deployment = Deployment(folder, {
        "REPORT_BUILDER_DATABASE_URL": database.service_url, "REPORT_BUILDER_STREAMS_PER_USER": str(readers),
    })  # fmt: skip
    try:
        process = deployment.start("run", "--roles", "api")
        async with aiohttp.ClientSession() as http:
            client = Api(http, deployment)
            await client.until("ready", lambda: client.get("/readyz"), seconds=60)
        yield process.pid, deployment.url
    finally:
        await asyncio.to_thread(deployment.stop)


async def crowd(url: str, readers: int, last: int) -> None:
    """Prints `ready` when all are at the log's end, and in the end, of every 20th position, what it took to each timed
    reader, in milliseconds.

    To look into every frame of a thousand readers would take the processor that the service is to be measured on: of
    those that are not timed it is counted that they have as many events as there are, up to the last one.
    """
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    crowd = [_Timed(last) if number < TIMED else _Counted(last) for number in range(readers)]

    async def connect(reader: _Reader) -> None:
        await loop.create_connection(lambda: reader, address.hostname or "", address.port or 0)

    for reader in crowd:
        await connect(reader)
    for reader in crowd:
        await reader.ready
    print("ready", flush=True)
    for reader in crowd:
        await reader.done
    timed = [reader.latencies for reader in crowd if isinstance(reader, _Timed)]
    print(msgspec.json.encode(list(zip(*timed, strict=True))).decode())


class _Reader(asyncio.Protocol):
    """A live reader of everything, up to the position `last`."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.text = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.transport.write(b"GET /api/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            try:
                self.take(data)
            except Exception as error:
                self.done.set_exception(error)
        else:
            self.text += data
            if b"event: caught-up" in self.text:
                data, self.text = self.text[self.text.index(b"event: caught-up") :], b""
                self.ready.set_result(None)
                self.data_received(data)

    def take(self, data: bytes) -> None:
        """What came after the log's end was reached."""

    def end(self) -> None:
        """It has them all."""
        self.transport.abort()
        self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the service has ended a stream"))


class _Counted(_Reader):
    """One that counts its events."""

    seen = 0

    def take(self, data: bytes) -> None:
        # What a mark may be cut in is carried over, and too short to hold one that was counted.
        self.text = self.text[1 - len(MARK) :] + data
        self.seen += self.text.count(MARK)
        if self.seen >= self.last and not self.done.done():
            position = self.text[: self.text.rindex(MARK)].rpartition(b"id: ")[2]
            assert str(self.last).encode().endswith(position), f"{self.seen} events came, the last is {position!r}"
            self.end()


class _Timed(_Reader):
    """One that looks into each event, and says of every 20th how long it took."""

    def __init__(self, last: int) -> None:
        super().__init__(last)
        self.latencies: list[float] = []
        self._position = 0

    def take(self, data: bytes) -> None:
        *frames, self.text = (self.text + data).split(b"\n\n")
        now = datetime.now(UTC)
        for frame in frames:
            at = frame.find(b"id: ")
            if at < 0:
                continue
            self._position += 1
            position = int(frame[at + 4 : frame.index(b"\n", at)])
            assert position == self._position, f"{position} came where {self._position} was to come"
            if position % 20 == 0:
                begun = frame.index(b'"time":"') + 8
                recorded = datetime.fromisoformat(frame[begun : frame.index(b'"', begun)].decode())
                self.latencies.append((now - recorded).total_seconds() * 1000)
        if self._position >= self.last and not self.done.done():
            self.end()


async def write(url: str, rate: int, events: int) -> None:
    """Appends at the rate, a few requests at once, each with one event."""
    pool = await open_pool(url, size=3)
    writer = AppendWriter(pool)
    each = max(int(rate * TICK), 1)
    begun = asyncio.get_running_loop().time()
    for number in range(0, events, each):
        requests = (request(f"report-{number + one}", note(team_id="local")) for one in range(each))
        await asyncio.gather(*(writer.append(one) for one in requests))
        await pool.execute("SELECT pg_notify('report_builder_events', $1)", str(number + each))
        await asyncio.sleep(max(begun + (number + each) / rate - asyncio.get_running_loop().time(), 0))
    await writer.close()
    await pool.close()


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """A process of this module: `crowd` or `writer`, with what these take."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.readers", *arguments, stdout=asyncio.subprocess.PIPE
    )


def _percentile(values: list[float], percent: int) -> float:
    """Of values in order."""
    return values[len(values) * percent // 100]


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "crowd":
        uvloop.run(crowd(given[0], int(given[1]), int(given[2])))
    else:
        uvloop.run(write(given[0], int(given[1]), int(given[2])))
