"""Streams a result file of AMC to disk: never whole in memory, never half under its final name."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from service.amc.errors import AmcError, classify_answer, classify_exception

CHUNK = 1 << 18
_GZIP = b"\x1f\x8b"


async def download(session: aiohttp.ClientSession, url: str, path: Path, *, timeout: float) -> int:
    """Writes what `url` holds to `path`, unpacked if it is gzip; returns the bytes written.

    `timeout`: seconds to connect and between two pieces, not for the whole file. `path` appears only
    when complete. The signed address is its own authority: no header of the Ads API is sent to it.
    Raises AmcError; code `url_expired` (403, transient) asks the caller for new addresses. Raises
    OSError where the disk fails.
    """
    waits = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
    part = path.with_name(path.name + ".part")
    try:
        written = await _fetch(session, url, part, waits)
        await asyncio.to_thread(part.replace, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return written


async def _fetch(session: aiohttp.ClientSession, url: str, part: Path, waits: aiohttp.ClientTimeout) -> int:
    try:
        async with session.get(url, timeout=waits) as answer:
            if answer.status != 200:
                raise _refusal(answer.status, await answer.content.read(20_000))
            return await _write(answer.content.iter_chunked(CHUNK), part)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise classify_exception("download", error) from None


async def _write(pieces: AsyncIterator[bytes], part: Path) -> int:
    written = 0
    unpack: _Unpack | None = None
    file = await asyncio.to_thread(part.open, "wb")
    try:
        async for piece in pieces:
            if written == 0 and unpack is None and piece.startswith(_GZIP):
                unpack = _Unpack()
            data = await asyncio.to_thread(unpack.feed, piece) if unpack else piece
            written += await asyncio.to_thread(file.write, data)
    finally:
        await asyncio.to_thread(file.close)
    if unpack and not unpack.complete:
        raise AmcError("the result file ended early", kind="transient", code="connection_lost")
    return written


class _Unpack:
    """Gzip, piece by piece; a file may hold several members one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, piece: bytes) -> bytes:
        out = bytearray()
        try:
            while piece:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                out += self._member.decompress(piece)
                piece = self._member.unused_data
        except zlib.error:
            raise AmcError("the result file is damaged", kind="transient", code="connection_lost") from None
        return bytes(out)

    @property
    def complete(self) -> bool:
        return self._member.eof


def _refusal(status: int, body: bytes) -> AmcError:
    if status == 403:
        # The body is XML that repeats the signed address in parts: our own words instead.
        return AmcError(
            "the download address has expired or is damaged",
            kind="transient",
            code="url_expired",
            status=status,
        )
    return classify_answer("download", status, body)
