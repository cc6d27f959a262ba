"""The service's own API, as its command line uses it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from service.settings import Settings


class ApiRefused(Exception):
    """The API does not answer, or answers with a problem; the message says which."""


class ApiClient:
    """Sends requests to the service that the settings name, with their token."""

    def __init__(self, settings: Settings) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = (settings.api_url or f"http://{host}:{settings.port}").rstrip("/")
        self.headers = {"Authorization": f"Bearer {settings.api_token}"} if settings.api_token else {}

    async def send(self, method: str, path: str, body: object = None, **query: str | int | None) -> Any:
        """The answer's JSON. Raises ApiRefused."""
        given = {name: value for name, value in query.items() if value is not None}
        data = None if body is None else msgspec.json.encode(body)
        headers = {**self.headers, "Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
                http.request(method, self.url + path, params=given, data=data, headers=headers) as response,
            ):
                answer = msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise ApiRefused(
                f"no service answers on {self.url} ({type(error).__name__}): start it with `report-builder run`, or"
                " name it with REPORT_BUILDER_API_URL"
            ) from None
        if response.status >= 400:
            raise _refusal(response.status, answer)
        return answer

    async def download(self, path: str, file: Path, **query: str | int | None) -> int:
        """Puts the answer's body where `file` says, under that name once it is there whole; answers its bytes. Raises
        ApiRefused and OSError; nothing is left over then."""
        given = {name: value for name, value in query.items() if value is not None}
        unfinished = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=60, sock_read=60)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.get(self.url + path, params=given, headers=self.headers) as response,
            ):
                if response.status >= 400:
                    raise _refusal(response.status, msgspec.json.decode(await response.read()))
                with unfinished.open("xb") as opened:
                    async for piece in response.content.iter_chunked(1 << 20):
                        opened.write(piece)
                    opened.flush()
                    os.fsync(opened.fileno())
            size = unfinished.stat().st_size
            unfinished.replace(file)
            return size
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise ApiRefused(f"{self.url} did not send it to its end ({type(error).__name__}): try again") from None
        finally:
            unfinished.unlink(missing_ok=True)


def _refusal(status: int, problem: Any) -> ApiRefused:
    return ApiRefused(f"{problem.get('detail')} ({status} {problem.get('code')})")
