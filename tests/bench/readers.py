"""How long an event takes from its commit to many live readers, and what that costs the API's process: all readers take
everything, each over a connection of its own, while events are appended by another process at a steady rate.

It starts `python -m tests.bench.readers crowd URL READERS EVENTS` and `… writer DATABASE_URL RATE EVENTS`.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvloop

from db.pool import open_pool
from events.writer import AppendWriter
from service.bootstrap import running
from service.roles import Role
from service.settings import Settings
from tests.postgres import Server
from tests.recording import note, request

CROWDS = (1, 200, 1000)
RATE = 500
SECONDS = 20
TICK = 0.02


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds from commit to reader, over every 20th event of every reader; `processor` is the share of one core
    that the API's process took; `sends` how many pieces a reader got in a second."""

    readers: int
    p50: float
    p99: float
    processor: float
    sends: float


API: tuple[Role, ...] = ("api",)


async def run(server: Server, folder: Path, seconds: int = SECONDS) -> list[Measured]:
    """Each crowd on a log of its own. Raises AssertionError where a reader has missed an event."""
    measured = []
    for readers in CROWDS:
        async with server.fresh_database() as database:
            settings = Settings(data_dir=folder, database_url=database.service_url, port=0, streams_per_user=readers)
            async with running(settings, API) as program:
                assert program.api_url is not None
                events = RATE * seconds
                crowd = await _start("crowd", program.api_url, str(readers), str(events))
                assert crowd.stdout is not None
                assert await crowd.stdout.readline() == b"ready\n"
                before = _own_seconds()
                writer = await _start("writer", database.service_url, str(RATE), str(events))
                await writer.wait()
                latencies, pieces = msgspec.json.decode(await crowd.stdout.read(), type=tuple[list[float], int])
                used = _own_seconds() - before
                measured.append(
                    Measured(
                        readers=readers,
                        p50=_percentile(latencies, 50),
                        p99=_percentile(latencies, 99),
                        processor=used / seconds,
                        sends=pieces / readers / seconds,
                    )
                )
        print(measured[-1], file=sys.stderr, flush=True)
    return measured


def table(measured: Sequence[Measured]) -> str:
    """For people."""
    lines = [
        f"{RATE} events a second to live readers; milliseconds from commit to reader",
        "",
        f"{'readers':>9}{'p50':>9}{'p99':>9}{'API, cores':>13}{'sends/s each':>15}",
    ]
    lines += [
        f"{each.readers:9,}{each.p50:9.1f}{each.p99:9.1f}{each.processor:13.2f}{each.sends:15.1f}" for each in measured
    ]
    return "\n".join(lines)


async def crowd(url: str, readers: int, last: int) -> None:
    """Prints `ready` when all are at the log's end, and in the end all latencies and how many pieces came."""
    latencies: list[float] = []
    pieces = 0
    ready = asyncio.Semaphore(0)
    address = urlsplit(url)

    async def read() -> None:
        nonlocal pieces
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"GET /api/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        text, position = b"", 0
        while position < last:
            text += await reader.read(256 * 1024)
            pieces += 1
            if b"event: caught-up" in text and position == 0:
                ready.release()
            *frames, text = text.split(b"\n\n")
            now = datetime.now(UTC)
            for frame in frames:
                at = frame.find(b"id: ")
                if at < 0:
                    continue
                position += 1
                assert int(frame[at + 4 : frame.index(b"\n", at)]) == position
                if position % 20 == 0:
                    begun = frame.index(b'"time":"') + 8
                    time = datetime.fromisoformat(frame[begun : frame.index(b'"', begun)].decode())
                    latencies.append((now - time).total_seconds() * 1000)
        writer.close()

    reading = [asyncio.create_task(read()) for _ in range(readers)]
    for _ in range(readers):
        await ready.acquire()
    print("ready", flush=True)
    await asyncio.gather(*reading)
    print(msgspec.json.encode((latencies, pieces)).decode())


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


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.readers", *arguments, stdout=asyncio.subprocess.PIPE
    )


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "crowd":
        uvloop.run(crowd(given[0], int(given[1]), int(given[2])))
    else:
        uvloop.run(write(given[0], int(given[1]), int(given[2])))
