"""The HTTP application: all routes, one error handler, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.pool import Pool
from events.feed import Feed
from projections.runner import read_checkpoint
from service.auth.door import Door
from service.auth.routes import auth_routes
from service.builder.routes import builder_routes
from service.commands import Commands
from service.data_collections.routes import collection_routes
from service.endpoints import Answer, Endpoint
from service.http import json_response
from service.problems import EXCEPTION_HANDLERS
from service.results.routes import result_routes
from service.results.store import ResultStore
from service.stream.routes import stream_routes
from service.workflows.routes import workflow_routes

MAX_BODY = 2 * 1024 * 1024


class Readiness(Answer, frozen=True, kw_only=True):
    """Whether the process can work. `problems` says by part what is wrong, and `projection_behind` how many
    events the read models have not applied yet."""

    status: Literal["ready", "unready"]
    problems: dict[str, str]
    projection_behind: int | None


def create_app(
    pool: Pool,
    commands: Commands,
    feed: Feed,
    store: ResultStore,
    stopping: asyncio.Event,
    health: Callable[[], dict[str, str]],
    door: Door,
) -> Starlette:
    """All routes over the parts that `bootstrap` has made. `health` answers what is wrong, by part."""

    async def alive(request: Request) -> Response:
        return json_response({"status": "alive"})

    async def ready(request: Request) -> Response:
        problems = health()
        try:
            behind = feed.head - await read_checkpoint(pool)
        except Exception as error:
            problems["database"] = type(error).__name__
            behind = None
        if stopping.is_set():
            problems["process"] = "shutting down"
        body = {"status": "unready" if problems else "ready", "problems": problems, "projection_behind": behind}
        return json_response(body, 503 if problems else 200)

    app = Starlette(
        routes=[
            Endpoint("GET", "/healthz", alive, summary="Is the process alive", answer=dict[str, str], public=True),
            Endpoint("GET", "/readyz", ready, summary="Is it ready for work", answer=Readiness, public=True),
            *auth_routes(door),
            *builder_routes(pool, commands),
            *workflow_routes(pool, commands),
            *collection_routes(pool),
            *result_routes(pool, store),
            *stream_routes(pool, feed, stopping, door.lapsed),
        ],
        middleware=[Middleware(LimitBody)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.door = door
    return app


class LimitBody:
    """Refuses bodies over MAX_BODY bytes before they fill the memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413, f"a body may have at most {MAX_BODY} bytes")
            return message

        await self._app(scope, limited, send)
