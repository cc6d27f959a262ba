"""Serves an ASGI application in the current event loop, on a port that is known before the first request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

TRANSPORT = "report_builder.transport"
"""The extension of a request's scope that answers the transport of its connection, null where that is closed: ASGI
has no means to bound what waits to be sent, or to cut it off."""


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, *, grace: float) -> AsyncIterator[str]:
    """Serves while the block runs, and yields the address; port 0 takes any free one. Raises OSError.

    At its end no connection is taken any more, and requests under way have `grace` seconds to finish.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # A socket that names its protocol: only then does asyncio turn Nagle's algorithm off, which holds small
    # answers back for 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {host}, port {port}: {error.strerror}") from None
        listener.listen(1024)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            # Longer than clients and proxies keep idle connections: else they send on one that is just closed.
            timeout_keep_alive=75,
            # Who forwards says what it likes; the door asks for nothing of it.
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(grace)),
        )
        server = _Server(config)
        server.config.app = _with_transport(app, server)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.002)
        shown = f"[{host}]" if family is socket.AF_INET6 else host
        try:
            yield f"http://{shown}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def _with_transport(app: ASGIApp, server: uvicorn.Server) -> ASGIApp:
    """Gives each request the transport of its own connection."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        def transport() -> asyncio.Transport | None:
            for connection in server.server_state.connections:
                if getattr(connection, "client", None) == scope.get("client"):
                    return connection.transport
            return None

        await app({**scope, "extensions": {**scope.get("extensions", {}), TRANSPORT: transport}}, receive, send)

    return wrapped


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals to the program that it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
