"""Serves the web interface: its page under every address of the application, and what the page loads.

Everything is read once, at the start, and kept in memory as it was compressed by the build. What has a hash in its name
never changes; the page itself is asked for anew each time, and answered 304 while it is the same.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

DIST = Path(__file__).parent / "dist"

ADDRESSES = frozenset(
    {"", "accounts", "audit", "dead-letters", "instances", "reports", "results", "schedules", "workflows"}
)
"""How the addresses of its pages begin: others are not there, which the page says to whoever looks with a browser."""

SERVICE = frozenset({"api", "auth", "assets", "docs", "schemas"})
"""What begins an address of the service's own. Nobody is shown a page there."""

# In the order of preference; the file names of what the build compressed end so.
ENCODINGS = {"br": ".br", "gzip": ".gz"}
FOR_EVER = "public, max-age=31536000, immutable"


class NotBuilt(Exception):
    """The interface is not there."""


class Asset(msgspec.Struct, frozen=True):
    """A file that the page loads, as it is and by encoding."""

    media_type: str
    plain: bytes
    encoded: Mapping[str, bytes]

    def answer(self, accepted: str, headers: Mapping[str, str], status: int = 200) -> Response:
        """In the best encoding that the browser takes."""
        encoding = next(
            (each for each in self.encoded if re.search(rf"\b{each}\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", accepted)), None
        )
        body = self.encoded[encoding] if encoding else self.plain
        found = {**headers, **({"Content-Encoding": encoding} if encoding else {}), "Vary": "Accept-Encoding"}
        return Response(body, status, found, media_type=self.media_type)


class Pages:
    """What the build made; the application's answer where no route has one."""

    def __init__(self, page: Asset, assets: Mapping[str, Asset]) -> None:
        self._page = page
        self._assets = assets
        self._etag = f'"{hashlib.sha256(page.plain).hexdigest()[:32]}"'

    @classmethod
    def read(cls, folder: Path = DIST) -> Pages:
        """From the folder of the build. Raises NotBuilt."""
        if not (folder / "index.html").is_file():
            raise NotBuilt(f"the web interface is not in {folder}: run scripts/setup, or install the package again")
        endings = tuple(ENCODINGS.values())
        files = [file for file in (folder / "assets").iterdir() if not file.name.endswith(endings)]
        return cls(_read(folder / "index.html"), {file.name: _read(file) for file in files})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        parts = scope["path"].split("/")[1:]
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(404, "Not Found")
        if parts[0] == "assets" and len(parts) == 2 and (asset := self._assets.get(parts[1])):
            response = asset.answer(headers.get("accept-encoding", ""), {"Cache-Control": FOR_EVER})
        elif parts[0] in ADDRESSES:
            response = self._shown(headers, 200)
        elif parts[0] not in SERVICE and "text/html" in headers.get("accept", ""):
            response = self._shown(headers, 404)
        else:
            raise HTTPException(404, "Not Found")
        await response(scope, receive, send)

    def _shown(self, headers: Headers, status: int) -> Response:
        caching = {"Cache-Control": "no-cache", "ETag": self._etag}
        if status == 200 and self._etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers={**caching, "Vary": "Accept-Encoding"})
        return self._page.answer(headers.get("accept-encoding", ""), caching, status)


def _read(file: Path) -> Asset:
    encoded = {
        encoding: compressed.read_bytes()
        for encoding, ending in ENCODINGS.items()
        if (compressed := file.with_name(file.name + ending)).is_file()
    }
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Asset("text/javascript" if file.suffix == ".js" else media_type, file.read_bytes(), encoded)
