"""Many callers, one round trip: calls that come while one is under way wait for its end, and then go as one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

MOST = 200
"""Calls that go as one."""


class Together(Generic[Asked, Answer]):
    """`call` answers many questions at once, in their order. Each begins after its question was asked, so that what it
    sees is never older than the caller. What it raises is raised to all of them."""

    def __init__(self, call: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        self._call = call
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._going: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer to one question. A caller that is cancelled may be asked for all the same."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._going is None:
            self._going = asyncio.create_task(self._go())
        return await future

    async def _go(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                await self._answer([(asked, future) for asked, future in batch if not future.done()])
        finally:
            self._going = None
            for _, future in self._waiting:  # only where the loop ends
                future.cancel()

    async def _answer(self, batch: Sequence[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._call([asked for asked, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
