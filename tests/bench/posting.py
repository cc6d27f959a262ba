"""Posts a body again and again over connections that stay open, from a process of its own, which costs the server's
little: `python -m tests.bench.posting URL BODY-FILE PATHS-FILE CONNECTIONS WARM-UP SECONDS`.

Each connection posts to the next path of the file as soon as it has an answer, until the time or the paths are over.
Prints a `Posted` as JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from tests.deployment import ROOT


class Posted(msgspec.Struct, frozen=True):
    """How many requests were answered in all, and in what time each of those in the measured time, in milliseconds;
    `refused` is the first answer that was not 200, null where there is none."""

    answered: int
    milliseconds: list[float]
    seconds: float
    refused: str | None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, percent: int) -> float:
        """So many of a hundred requests took at most this, in milliseconds."""
        return sorted(self.milliseconds)[len(self.milliseconds) * percent // 100]

    def __str__(self) -> str:
        return f"{self.rate:,.0f} requests/s"


async def post(url: str, body: Path, paths: Path, connections: int, warm_up: float, seconds: float) -> Posted:
    """Runs the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.posting", url, str(body), str(paths), str(connections), str(warm_up),
        str(seconds), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return msgspec.json.decode(out, type=Posted)


class _Load:
    """What all connections share."""

    def __init__(self, host: str, body: bytes, paths: Iterator[str], warm_up: float, seconds: float) -> None:
        self.milliseconds: list[float] = []
        self.answered = 0
        self.refused: str | None = None
        self._rest = f" HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n".encode()
        self._rest += f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._paths = paths
        self._from = time.perf_counter() + warm_up
        self._until = self._from + seconds

    def request(self) -> bytes | None:
        """The next to be sent; None where it is over."""
        if self.refused or time.perf_counter() > self._until or (path := next(self._paths, None)) is None:
            return None
        return b"POST " + path.encode() + self._rest

    def answer(self, begun: float, content: bytes) -> None:
        ended = time.perf_counter()
        self.answered += 1
        if not content.startswith(b"HTTP/1.1 200 "):
            self.refused = content.decode(errors="replace")
        elif self._from <= ended <= self._until:
            self.milliseconds.append((ended - begun) * 1000)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._content = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._send()

    def _send(self) -> None:
        request = self._load.request()
        if request is None:
            self._transport.close()
            return
        self._begun = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._content += data
        head = self._content.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._content.index(b"content-length: ") + 16
        length = int(self._content[at : self._content.index(b"\r\n", at)])
        if len(self._content) < head + 4 + length:
            return
        self._load.answer(self._begun, self._content)
        self._content = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def _main(url: str, body: str, paths: str, connections: str, warm_up: str, seconds: str) -> None:
    address = urlsplit(url)
    texts = iter(Path(paths).read_text().split())
    load = _Load(address.netloc, Path(body).read_bytes(), texts, float(warm_up), float(seconds))
    loop = asyncio.get_running_loop()
    assert address.hostname is not None
    assert address.port is not None
    opened = [
        await loop.create_connection(lambda: _Connection(load), address.hostname, address.port)
        for _ in range(int(connections))
    ]
    await asyncio.gather(*(connection.ended for _, connection in opened))
    print(msgspec.json.encode(Posted(load.answered, load.milliseconds, float(seconds), load.refused)).decode())


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
