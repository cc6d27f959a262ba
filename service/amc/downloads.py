"""Streams a result file of AMC to disk: never whole in memory, never half under its final name.

A download that broke off goes on where it was, with the same address or a new one. What arrived is taken for whole
where the answer's length, its last chunk or gzip's own check says so, else only where a second answer agrees.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import aiohttp

from service.amc.errors import AmcError, classify_answer, classify_exception, message_of

CHUNK = 1 << 18
_GZIP = b"\x1f\x8b"
_PAGE = re.compile(rb"\s*<(!doctype\b|html\b|\?xml\b|error\b)", re.IGNORECASE)
BEGIN = 2000
"""Bytes that show whether an answer is a page, or packed."""
UNPACKED = 1 << 20
"""Bytes that are unpacked at once: a small piece may hold a thousand times as much."""


class Download:
    """One file on its way to `path`, where it appears when complete.

    `timeout`: seconds to connect and between two pieces, not for the whole file.
    """

    def __init__(self, session: aiohttp.ClientSession, path: Path, *, timeout: float) -> None:
        self._session = session
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._waits = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
        self._entity: str | None = None
        self._content = _Content()
        self._file: IO[bytes] | None = None
        self.received = 0
        """Bytes that have arrived, as they were sent."""
        self._unsure = 0  # bytes of an answer that did not say how many there are

    @property
    def written(self) -> int:
        """Bytes of the file, unpacked."""
        return self._content.written

    async def take(self, url: str) -> None:
        """Asks `url` for the file, or for the rest of it, and writes it. The signed address is its own authority: no
        header of the Ads API is sent to it.

        Raises AmcError: code `url_expired` (transient) asks the caller for new addresses; after every transient one
        the download may be taken up again. Raises OSError where the disk fails.
        """
        headers = {}
        if self.received and self._entity:
            headers = {"Range": f"bytes={self.received}-", "If-Range": self._entity}
        try:
            async with self._session.get(url, headers=headers, timeout=self._waits, auto_decompress=False) as answer:
                if answer.status not in (200, 206, 416):
                    raise _refusal(answer.status, await answer.content.read(20_000))
                await self._write(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise classify_exception("download", error) from None
        await asyncio.to_thread(self._part.replace, self.path)

    async def _write(self, answer: aiohttp.ClientResponse) -> None:
        said = answer.headers.get("Content-Range", "")
        if answer.status == 416 and self._unsure and said.endswith(f"*/{self._unsure}"):
            return  # there is no more of it
        if answer.status == 200:
            self._begin(answer)
        elif answer.status == 416 or not said.startswith(f"bytes {self.received}-"):
            raise self._begins_anew("another part of the result file came than was asked for")
        try:
            async for piece in _pieces(answer):
                if self.received == 0 and _PAGE.match(piece):
                    raise AmcError(f"a page came in place of the result: {_words(piece)}", kind="transient",
                                   code="server_error", status=answer.status)  # fmt: skip
                await asyncio.to_thread(self._add, piece)
                self.received += len(piece)
            if self._file is None:
                await asyncio.to_thread(self._add, b"")
        finally:
            self._close()
        sized = answer.content_length is not None or "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        if not self._content.complete:
            raise self._begins_anew("the result file ended early")
        if not sized and not self._content.packed and self.received != self._unsure:
            self._unsure = self.received
            raise AmcError("nothing says whether the result file is whole", kind="transient", code="connection_lost")

    def _add(self, piece: bytes) -> None:
        """Writes the next piece behind what has been written of the file, which is opened where it is not."""
        if self._file is None:
            self._file = self._part.open("ab")
            self._file.truncate(self._content.written)
        if piece:
            self._content.write(piece, self._file)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _begins_anew(self, why: str) -> AmcError:
        self.received = 0
        return AmcError(why, kind="transient", code="connection_lost")

    def _begin(self, answer: aiohttp.ClientResponse) -> None:
        entity = answer.headers.get("ETag", "")
        # A weak one does not say that the bytes are the same.
        self._entity = entity if entity.startswith('"') else None
        self._content = _Content()
        self.received = 0


class _Content:
    """What is written of a file: itself, or unpacked where it is gzip, piece by piece and with bounded memory. A packed
    file may hold several members one after the other."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self.written = 0

    def write(self, piece: bytes, file: IO[bytes]) -> None:
        """Adds the next piece to `file`; the first one must show what the file is. Raises AmcError."""
        if self.written == 0 and self._member is None and piece.startswith(_GZIP):
            self._member = zlib.decompressobj(wbits=31)
        if self._member is None:
            self._put(piece, file)
            return
        try:
            more = True
            while piece or more:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                data = self._member.decompress(piece, UNPACKED)
                self._put(data, file)
                piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                more = len(data) == UNPACKED
        except zlib.error:
            raise AmcError("the result file is damaged", kind="transient", code="connection_lost") from None

    def _put(self, data: bytes, file: IO[bytes]) -> None:
        file.write(data)
        self.written += len(data)

    @property
    def packed(self) -> bool:
        return self._member is not None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, so far as the file itself can say."""
        return self._member is None or self._member.eof


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body, in pieces that are long enough for the first to show what it is."""
    held = b""
    async for piece in answer.content.iter_chunked(CHUNK):
        held += piece
        if len(held) >= BEGIN:
            yield held
            held = b""
    if held:
        yield held


def _refusal(status: int, body: bytes) -> AmcError:
    # S3's XML repeats the signed address in parts: its code alone.
    code = _code(body)
    if status == 403 or (status == 400 and code in ("ExpiredToken", "RequestTimeTooSkewed")):
        return AmcError(
            "the download address has expired or is damaged", kind="transient", code="url_expired", status=status
        )
    return classify_answer("download", status, code.encode() or body)


def _words(page: bytes) -> str:
    code = _code(page)
    return code or ("XML" if re.match(rb"\s*<(\?xml|error)", page, re.IGNORECASE) else message_of(page[:BEGIN].strip()))


def _code(xml: bytes) -> str:
    """S3's name for the error, of an XML body."""
    found = re.search(rb"<Code>\s*(\w{1,100})\s*</Code>", xml)
    return found[1].decode() if found else ""
