"""What stands before every API call: login, headers, rates, and the faults that hit requests."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.amc.sandbox.answers import answer, refusal
from service.amc.sandbox.sandbox import Sandbox

HANG_UP = "sandbox.hang_up"
"""Key in the scope's extensions: an async callable that cuts the connection, where the server has one."""
WRITE = "sandbox.write"
"""Likewise: an async callable that writes bytes to the connection, past the server, and closes it."""


class Gate:
    """ASGI middleware in front of `/amc/…`; everything else passes."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/amc/"):
            await self._app(scope, receive, send)
            return
        sandbox, faults = self._sandbox, self._sandbox.faults
        route = _route(scope)
        sandbox.stats.requested(route)
        refused = self._check(scope)
        if refused is not None:
            await self._answer(refused, scope, receive, send)
            return
        if faults.breaks():
            if faults.faults.errors_act:
                await self._app(scope, receive, _ignore)
            broken = answer({"code": "500", "message": "Internal Server Error"}, status=500)
            await self._answer(broken, scope, receive, send)
            return
        if faults.drops(route == "POST workflowExecutions"):
            await self._app(scope, receive, _ignore)
            sandbox.stats.dropped += 1
            await hang_up(scope, send)
            return
        await self._app(scope, receive, self._counted(send))

    def _check(self, scope: Scope) -> Response | None:
        sandbox, headers = self._sandbox, Headers(scope=scope)
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if sandbox.faults.token_expires():
            sandbox.tokens.expire(token)
        faults = sandbox.faults.faults
        if not sandbox.tokens.accepts(token, headers.get("Amazon-Advertising-API-ClientId", ""), faults.revoked_tokens):
            sent = f" Authorization was {headers.get('Authorization', '')}." if faults.echo_secrets else ""
            return refusal(401, f"Not authenticated: access token expired, or not of this ClientId.{sent}")
        if scope["path"] != "/amc/accounts":
            for name, expected in (
                ("AdvertiserId", sandbox.options.advertiser_id),
                ("MarketplaceId", sandbox.options.marketplace_id),
            ):
                given = headers.get(f"Amazon-Advertising-API-{name}")
                if not given:
                    return refusal(403, f"Amazon-Advertising-API-{name} header is required.")
                if sandbox.options.strict_instances and given != expected:
                    return refusal(403, f"No access to the resource with this {name}.")
        parts = scope["path"].split("/")
        of_instance = parts[2] == "reporting" and len(parts) > 3
        if sandbox.options.strict_instances and of_instance and parts[3] not in sandbox.options.instances:
            return refusal(403, "No access to the resource.")
        if not sandbox.bucket.take() or sandbox.faults.throttles():
            sandbox.stats.throttled += 1
            wait = sandbox.faults.retry_after()
            # RFC 9110: whole seconds; rounded up, so that a fraction does not become "at once".
            extra = {"Retry-After": str(math.ceil(wait))} if wait is not None else None
            return refusal(429, "Too Many Requests", extra)
        return None

    async def _answer(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, self._counted(send))

    def _counted(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._sandbox.stats.answers[str(message["status"])] += 1
            await send(message)

        return counted


def _route(scope: Scope) -> str:
    parts = scope["path"].strip("/").split("/")
    if len(parts) < 4:
        return f"{scope['method']} {parts[-1]}"
    return f"{scope['method']} {'/'.join([parts[3], *(['{id}'] if len(parts) > 4 else []), *parts[5:]])}"


async def _ignore(message: Message) -> None:
    """Where the answer of a dropped request goes."""


async def hang_up(scope: Scope, send: Send) -> None:
    """Cuts the connection of the request, where the server can."""
    cut: Callable[[], Awaitable[None]] | None = scope.get("extensions", {}).get(HANG_UP)
    if cut is not None:
        await cut()
        return
    # Under another server: an answer that breaks off is the nearest thing to none.
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
