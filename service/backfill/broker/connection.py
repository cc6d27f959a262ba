"""One AMQP connection that is kept up: made, prepared, watched, and made anew when it is lost.

aio-pika's robust connection is not used: it restores only what was declared through the same channel
object, answers repeated declarations from memory, and hides when it is away. Here every new connection
runs the same `prepare` from nothing, so a broker that lost all its data is no special case.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from service.backfill.broker.port import BrokerRefused, BrokerUnavailable

log = structlog.get_logger(__name__)

HEARTBEAT = 15
"""Seconds; a peer that is silent three times as long counts as gone."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
CLOSE_TIMEOUT = 3.0
"""Seconds for goodbye: a broker with a memory alarm reads nothing, not even that."""

Prepare = Callable[[AbstractConnection], Awaitable[None]]


class KeptConnection:
    """A connection to one broker that comes back by itself.

    `url` may name several nodes of it, with commas between them: each attempt goes to the next one, the first to any.
    `prepare` gets each new connection before anybody else and makes it useful (queues, consumers); if it
    fails, the connection is dropped and tried again. `timeout` in seconds for one attempt.
    """

    def __init__(self, url: str, name: str, prepare: Prepare, *, timeout: float) -> None:
        self._urls = [_with_heartbeat(URL(each.strip())) for each in url.split(",")]
        random.shuffle(self._urls)  # so that processes spread over the nodes
        self._name = name
        self._prepare = prepare
        self._timeout = timeout
        self._current: AbstractConnection | None = None
        self._usable = asyncio.Event()
        self._lost = asyncio.Event()
        self._settled: asyncio.Future[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether it is up and prepared."""
        return self._usable.is_set()

    @property
    def blocked(self) -> bool:
        """Whether the broker has told us to send nothing more (memory or disk alarm)."""
        transport = self._current.transport if self._current is not None else None
        if transport is None:
            return False
        # The library keeps the flag to itself; its `ready` waits exactly while the flag is set.
        waiting = transport.connection.ready()
        try:
            waiting.send(None)
        except StopIteration:
            return False
        finally:
            waiting.close()
        return True

    async def start(self) -> None:
        """Try each node once, and go on trying in the background whatever came of it.

        Raises BrokerRefused where trying again is no use; nothing runs then.
        """
        if self._keeper is not None:
            return
        self._settled = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(), name=f"AMQP connection {self._name}")
        try:
            await self._settled
        except BrokerRefused:
            await self.close()
            raise

    async def get(self) -> AbstractConnection:
        """The connection, once it is usable; waits for that as long as it takes."""
        while True:
            await self._usable.wait()
            if self._current is not None:
                return self._current

    def now(self) -> AbstractConnection:
        """The connection as it is. Raises BrokerUnavailable while there is none."""
        if self._current is None or not self._usable.is_set():
            nodes = ", ".join(f"{url.host}:{url.port}" for url in self._urls)
            raise BrokerUnavailable(f"no connection to {nodes}")
        return self._current

    def replace(self, useless: AbstractConnection, reason: str) -> None:
        """Drop a connection that has proved useless and make a new one; nothing if that was done already."""
        if useless is self._current and self._usable.is_set():
            log.warning("broker.connection_replaced", connection=self._name, reason=reason)
            self._usable.clear()
            self._lost.set()

    async def close(self) -> None:
        """Disconnect and try no more."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            # The library swallows a cancellation that meets its answer, so `_keep` must see for itself, too.
            self._lost.set()
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            self._settle()

    async def _keep(self) -> None:
        pause, untried = FIRST_PAUSE, len(self._urls)
        while self._keeper is not None:
            try:
                await self._hold_one()
                pause, untried = FIRST_PAUSE, len(self._urls)
            except Exception as error:
                refusal = _refusal(error)
                if refusal is not None and self._settled is not None and not self._settled.done():
                    self._settled.set_exception(refusal)
                    return
                log.warning("broker.unreachable", connection=self._name, error=str(error) or repr(error))
                untried -= 1
                if untried > 0:
                    continue
                untried = len(self._urls)
            self._settle()
            # Jitter, so that many workers do not all come back at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hold_one(self) -> None:
        """Connect, prepare, and stay until the connection is lost or replaced."""
        url = self._urls.pop(0)
        self._urls.append(url)
        connection = await aio_pika.connect(
            url, timeout=self._timeout, client_properties={"connection_name": self._name}
        )
        lost = self._lost = asyncio.Event()

        def on_lost(_: object, error: BaseException | None) -> None:
            lost.set()
            if connection is self._current:
                self._usable.clear()
                log.info("broker.disconnected", connection=self._name, error=str(error))

        connection.close_callbacks.add(on_lost)
        try:
            async with asyncio.timeout(self._timeout):
                await self._prepare(connection)
            self._current = connection
            if self._keeper is not None and not lost.is_set():
                self._usable.set()
                log.info("broker.connected", connection=self._name)
                self._settle()
                await lost.wait()
        finally:
            self._usable.clear()
            self._current = None
            await _close(connection)

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)


def _with_heartbeat(url: URL) -> URL:
    return url if "heartbeat" in url.query else url.update_query(heartbeat=HEARTBEAT)


def _refusal(error: Exception) -> BrokerRefused | None:
    if isinstance(error, BrokerRefused):
        return error
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return BrokerRefused(f"The broker refuses the user or password of the AMQP URL: {error}")
    return None


async def _close(connection: AbstractConnection) -> None:
    closing = asyncio.ensure_future(connection.close())
    await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT)
    if not closing.done():
        closing.cancel()
        await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT)
    elif not closing.cancelled():
        closing.exception()  # looked at, so that nobody warns: the connection is gone either way
