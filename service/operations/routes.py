"""`/healthz`, `/readyz` and `/metrics`: among the API's routes, and alone on a port of their own."""

from __future__ import annotations

from time import perf_counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.endpoints import Endpoint
from service.http import json_response
from service.operations import metrics
from service.operations.health import Health, Liveness, Readiness
from service.operations.scrape import Scrape
from service.problems import EXCEPTION_HANDLERS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def operation_routes(health: Health, scrape: Scrape, *, public: bool) -> list[Endpoint]:
    """The routes. `public`: nobody has to sign in for `/metrics`, which else takes the scope `admin`: what it tells
    is of all teams."""

    async def alive(request: Request) -> Response:
        return json_response(Liveness())

    async def ready(request: Request) -> Response:
        readiness = await health.readiness()
        return json_response(readiness, 200 if readiness.status == "ready" else 503)

    async def scraped(request: Request) -> Response:
        content, media_type = await scrape.encoded(request.headers.get("accept", ""))
        return Response(content, media_type=media_type)

    return [
        Endpoint("GET", "/healthz", alive, summary="Is the process alive", answer=Liveness, public=True),
        Endpoint(
            "GET",
            "/readyz",
            ready,
            summary="Is it ready for work",
            answer=Readiness,
            also={503: Readiness},
            public=True,
        ),
        Endpoint(
            "GET",
            "/metrics",
            scraped,
            summary="What it counts and measures, for Prometheus",
            answer=("text/plain", "application/openmetrics-text"),
            scope=None if public else "admin",
            public=public,
        ),
    ]


def operations_app(health: Health, scrape: Scrape) -> Starlette:
    """The three routes alone, for everybody who reaches them."""
    routes = operation_routes(health, scrape, public=True)
    return Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)


class Measured:
    """Counts and times the requests of an application, by the templates of its routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                template = route.path if isinstance(route, Route) else "none"
                method = scope["method"] if scope["method"] in METHODS else "other"
                metrics.http_answered(method, template, message["status"], perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, send_measured)
