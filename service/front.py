"""What every request passes and every answer carries, in one place around the routes.

The Host check, CORS, the limit of bodies, answers to errors, headers that browsers obey, rates, and metrics. Each layer
of its own around an application costs every request some ten microseconds, more than what most of them do; so what
they do is done here by one. It stands around everything, so that answers to faults carry the headers too.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Message, Receive, Scope, Send

from service.auth.edge import HEALTH, METHODS, SENT_HEADERS, SHOWN_HEADERS, headers_of
from service.auth.site import Site
from service.operations import metrics
from service.problems import Refused, answer_error, is_refusal, problem_response
from service.rates.limiter import STANDING
from service.rates.policies import Standing
from service.rates.policies import headers_of as rate_headers_of

MAX_BODY = 2 * 1024 * 1024

COUNTED_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

EXCHANGE = "report_builder.exchange"
"""Where a request's scope keeps its exchange."""
MOST_PIECES = 12
"""Of the paths whose routes are kept by their shape."""


class Front:
    """The application behind all that. A header that a route sets itself stays as it is."""

    def __init__(self, app: Starlette, site: Site) -> None:
        self._app = app
        self._site = site
        self._routes = _Routes(app.routes)
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(site).items()]
        self.varies = bool(site.other_origins)
        # Tokens alone: without credentials, a page of another site never acts with its reader's cookies.
        self._shared = CORSMiddleware(
            self._answered,
            allow_origins=sorted(site.other_origins),
            allow_methods=METHODS,
            allow_headers=SENT_HEADERS,
            expose_headers=SHOWN_HEADERS,
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[EXCHANGE] = _Exchange(self, scope, receive, send)
        headers = Headers(scope=scope)
        if scope["path"] not in HEALTH and not self._site.knows_host(headers):
            refused = Refused("unknown_host", "send it to a name of the service, or add this one to its settings")
            await problem_response(refused)(scope, receive, exchange.send)
        elif self.varies and headers.get("origin", "").lower() in self._site.other_origins:
            await self._shared(scope, exchange.receive, exchange.send)
        else:
            await self._answered(scope, exchange.receive, exchange.send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Has a route answer, and answers the errors that it raises."""
        scope["app"] = self._app
        try:
            if (route := self._routes.find(scope)) is not None:
                await route.app(scope, receive, send)
            else:
                await self._app.router(scope, receive, send)
        except Exception as error:
            if scope[EXCHANGE].begun:
                raise
            response = await answer_error(Request(scope, receive), error)
            await response(scope, receive, send)
            if not is_refusal(error):
                raise  # the server logs the fault, and closes the connection
            # Instances that are raised again gather the tracebacks of all requests.
            error.__traceback__ = None


class _Exchange:
    """One request and its answer, on their way."""

    __slots__ = ("_front", "_receive", "_scope", "_send", "_size", "_started", "begun")

    def __init__(self, front: Front, scope: Scope, receive: Receive, send: Send) -> None:
        self._front = front
        self._scope = scope
        self._receive = receive
        self._send = send
        self._size = 0
        self._started = perf_counter()
        self.begun = False
        """Whether the answer has begun."""

    async def receive(self) -> Message:
        """Refuses bodies over MAX_BODY bytes before they fill the memory."""
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > MAX_BODY:
            raise HTTPException(413, f"a body may have at most {MAX_BODY} bytes")
        return message

    async def send(self, message: Message) -> None:
        """Completes the headers as the answer begins, and counts and times it."""
        if message["type"] == "http.response.start":
            self.begun = True
            self._complete(message)
            scope, route = self._scope, self._scope.get("route")
            template = route.path if isinstance(route, Route) else "none"
            method = scope["method"] if scope["method"] in COUNTED_METHODS else "other"
            metrics.http_answered(method, template, message["status"], perf_counter() - self._started)
        await self._send(message)

    def _complete(self, message: Any) -> None:
        front = self._front
        headers = message["headers"] = list(message.get("headers", ()))
        present = {name for name, _ in headers}
        if isinstance(standing := self._scope.get(STANDING), Standing):
            headers += rate_headers_of(standing)
        headers += [header for header in front.headers if header[0] not in present]
        if front.varies:
            MutableHeaders(scope=message).add_vary_header("Origin")


class _Routes:
    """Finds the route that a request is for, without asking each of a hundred whether it is."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._all = [route for route in routes if isinstance(route, Route)]
        self._by_shape: dict[tuple[int, str], list[tuple[str | None, Route]]] = {}

    def find(self, scope: Scope) -> Route | None:
        """The first that takes the path and the method, made known in the scope as Starlette does; None where there is
        none, which is for Starlette to answer."""
        pieces = scope["path"].split("/")
        if len(pieces) < 3:
            return None
        shape = (len(pieces), pieces[2])
        candidates = self._by_shape.get(shape)
        if candidates is None:
            candidates = self._like(shape)
        for last, route in candidates:
            if last is None or last == pieces[-1]:
                match, child = route.matches(scope)
                if match is Match.FULL:
                    scope["route"] = route
                    scope.update(child)
                    return route
        return None

    def _like(self, shape: tuple[int, str]) -> list[tuple[str | None, Route]]:
        """The routes that a path of so many pieces, with this one after the first, can be for, in their order; each
        with the last piece that a path must have."""
        like: list[tuple[str | None, Route]] = []
        for route in self._all:
            pieces = route.path.split("/")
            if any(":" in piece for piece in pieces):  # it may take paths of any length
                like.append((None, route))
            elif len(pieces) == shape[0] and (pieces[2] == shape[1] or "{" in pieces[2]):
                like.append((None if "{" in pieces[-1] else pieces[-1], route))
        # What clients make up is not kept.
        if shape[0] < MOST_PIECES and any(route.path.split("/")[2:3] == [shape[1]] for _, route in like):
            self._by_shape[shape] = like
        return like
