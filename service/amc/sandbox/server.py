"""Runs the sandbox in the current event loop, on a port that is known before the first request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, cast

import msgspec
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from service.amc.sandbox.gate import HANG_UP, WRITE
from service.amc.sandbox.options import SandboxOptions
from service.amc.sandbox.routes import create_app
from service.amc.sandbox.sandbox import Sandbox


class RunningSandbox(msgspec.Struct, frozen=True):
    """A sandbox that answers: its addresses, and its insides for tests in the same process."""

    base_url: str
    """What `Account.base_url` is to be; `/sandbox/stats` and the like are below it too."""
    token_url: str
    sandbox: Sandbox


@contextlib.asynccontextmanager
async def running_sandbox(options: SandboxOptions | None = None) -> AsyncIterator[RunningSandbox]:
    """A sandbox on `options.host` and `options.port` while the block runs. Raises BadTable, OSError."""
    async with _listening(options or SandboxOptions(), signals=False) as (handle, server, task):
        try:
            yield handle
        finally:
            server.should_exit = True
            await task


async def serve(
    options: SandboxOptions | None = None, on_start: Callable[[RunningSandbox], None] | None = None
) -> None:
    """Runs a sandbox until SIGINT or SIGTERM; `on_start` is called once it answers."""
    async with _listening(options or SandboxOptions(), signals=True) as (handle, server, task):
        if on_start is not None:
            on_start(handle)
        try:
            await task
        finally:
            server.should_exit = True


@contextlib.asynccontextmanager
async def _listening(
    options: SandboxOptions, *, signals: bool
) -> AsyncIterator[tuple[RunningSandbox, _Server, asyncio.Task[None]]]:
    with _listener(options.host, options.port) as listener:
        sandbox = Sandbox(options)
        await sandbox.start()
        try:
            connections: dict[Any, _Connection] = {}
            app = create_app(sandbox)
            config = uvicorn.Config(
                cast(Any, _with_hang_up(app, connections)),
                http=_protocol(connections),
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                ws="none",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=1,
            )
            server = _Server(config, signals=signals)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                if task.done():
                    await task
                    raise RuntimeError("the sandbox's server ended before it started")
                await asyncio.sleep(0.002)
            base_url = _address(options.host, listener.getsockname()[1])
            yield RunningSandbox(base_url, f"{base_url}/auth/o2/token", sandbox), server, task
        finally:
            await sandbox.stop()


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals to the program that it runs in, unless asked."""

    def __init__(self, config: uvicorn.Config, *, signals: bool) -> None:
        super().__init__(config)
        self._signals = signals

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if not self._signals:
            yield
            return
        with super().capture_signals():
            yield


class _Connection:
    """A client's connection, and when it is gone."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.lost = asyncio.Event()


def _protocol(connections: dict[Any, _Connection]) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol that also notes which connection a client's address belongs to."""

    class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            self._peer = tuple(transport.get_extra_info("peername")[:2])
            connections[self._peer] = _Connection(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            connections.pop(self._peer).lost.set()

    return Protocol


def _with_hang_up(app: ASGIApp, connections: dict[Any, _Connection]) -> ASGIApp:
    """Gives each request the means to write to its own connection and to cut it; ASGI itself has none."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        connection = connections.get(tuple((scope.get("client") or ("", 0))[:2]))

        async def hang_up() -> None:
            if connection is not None:
                connection.transport.abort()
                # The server must have seen the cut before we return, or it answers 500 in our place.
                await connection.lost.wait()

        async def write(content: bytes) -> None:
            if connection is not None:
                connection.transport.write(content)
                connection.transport.close()
                await connection.lost.wait()

        extensions = {**scope.get("extensions", {}), HANG_UP: hang_up, WRITE: write}
        await app({**scope, "extensions": extensions}, receive, send)

    return wrapped


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio turns Nagle's algorithm off only where it reads TCP, and with
    # it on each answer waits 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
