"""Documents that an issuer publishes: fetched with a limit on everything, and from nowhere that is not safe."""

from __future__ import annotations

import asyncio

import aiohttp

from service.auth.addresses import is_safe

TIMEOUT = 5.0
MAX_BYTES = 1024 * 1024


class IssuerUnavailable(Exception):
    """The issuer does not answer, or answers what cannot be used; the message is for the log alone."""


class IssuerRefused(IssuerUnavailable):
    """The issuer answers, and does not take what it was sent (400, 401)."""


async def fetch(http: aiohttp.ClientSession, url: str) -> bytes:
    """What is at the address. Raises IssuerUnavailable; follows no redirect, as that could lead anywhere."""
    return await _answered(http, "GET", url)


async def post_form(
    http: aiohttp.ClientSession, url: str, form: dict[str, str], authorization: str | None = None
) -> bytes:
    """The answer to a form. Raises IssuerUnavailable."""
    return await _answered(
        http, "POST", url, data=form, headers={"Authorization": authorization} if authorization else {}
    )


async def _answered(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    data: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    if not is_safe(url):
        raise IssuerUnavailable("its address is neither https nor on this machine")
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            http.request(
                method, url, data=data, headers={"Accept": "application/json", **(headers or {})}, allow_redirects=False
            ) as response,
        ):
            content = await response.content.read(MAX_BYTES)
            while not response.content.at_eof():
                content += await response.content.read(MAX_BYTES)
                if len(content) > MAX_BYTES:
                    raise IssuerUnavailable("its answer is too long")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise IssuerUnavailable(type(error).__name__) from error
    if response.status in (400, 401):
        raise IssuerRefused(f"it answered {response.status}")
    if response.status != 200:
        raise IssuerUnavailable(f"it answered {response.status}")
    return content
