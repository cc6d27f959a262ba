"""`/healthz`, `/readyz` and `/metrics`: among the API's routes, and alone on a port of their own."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from service.endpoints import Endpoint
from service.http import json_response
from service.operations.health import Health, Liveness, Readiness
from service.operations.scrape import Scrape
from service.problems import EXCEPTION_HANDLERS


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
