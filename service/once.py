"""What takes long to make and is seldom asked for is made once, when it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

Once = Callable[[], Awaitable[T]]


def made_once(make: Callable[[], T]) -> Once[T]:
    """Makes it for the first who asks, in a thread, so that nobody else waits for it."""
    made: asyncio.Future[T] | None = None

    async def get() -> T:
        nonlocal made
        if made is None:
            made = asyncio.ensure_future(asyncio.to_thread(make))
        return await asyncio.shield(made)

    return get
