"""Turns say how long nothing has been finished, and let the one under way end."""

from __future__ import annotations

import asyncio

from events.turns import Turns


class Worker:
    """Takes turns that end when they are told to."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.may_end = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = 0

    async def run(self) -> None:
        while not self.turns.stopping:
            self.turns.begin()
            self.begun.set()
            await self.may_end.wait()
            self.ended += 1
            self.turns.end()


async def test_a_turn_that_fails_counts_from_where_the_first_one_began() -> None:
    turns = Turns()
    assert turns.unfinished == 0
    turns.begin()
    first = turns.unfinished_since
    await asyncio.sleep(0.001)
    turns.begin()
    assert turns.unfinished_since == first
    assert turns.unfinished > 0
    assert turns.end() > 0
    assert turns.unfinished == 0


async def test_stopping_lets_the_turn_end_and_none_begin_after_it() -> None:
    worker = Worker()
    task = asyncio.create_task(worker.run())
    await worker.begun.wait()
    stopping = asyncio.create_task(worker.turns.stop(task, 60))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    worker.may_end.set()
    await stopping
    await task
    assert worker.ended == 1


async def test_stopping_waits_no_longer_than_the_grace_time_and_not_for_one_between_turns() -> None:
    worker = Worker()
    task = asyncio.create_task(worker.run())
    await worker.begun.wait()
    await worker.turns.stop(task, 0.01)
    assert not task.done()
    task.cancel()
    idle = asyncio.create_task(asyncio.Event().wait())
    await Turns().stop(idle, 60)  # type: ignore[arg-type]
    idle.cancel()
