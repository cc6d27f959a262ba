"""Rounds say how long nothing has been finished, and let the one under way end."""

from __future__ import annotations

import asyncio

from events.rounds import Rounds


class Worker:
    """Takes rounds that end when they are told to."""

    def __init__(self) -> None:
        self.rounds = Rounds()
        self.may_end = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = 0

    async def run(self) -> None:
        while not self.rounds.stopping:
            self.rounds.begin()
            self.begun.set()
            await self.may_end.wait()
            self.ended += 1
            self.rounds.end()


async def test_a_turn_that_fails_counts_from_where_the_first_one_began() -> None:
    rounds = Rounds()
    assert rounds.unfinished == 0
    rounds.begin()
    first = rounds.unfinished_since
    await asyncio.sleep(0.001)
    rounds.begin()
    assert rounds.unfinished_since == first
    assert rounds.unfinished > 0
    assert rounds.end() > 0
    assert rounds.unfinished == 0


async def test_stopping_lets_the_turn_end_and_none_begin_after_it() -> None:
    worker = Worker()
    task = asyncio.create_task(worker.run())
    await worker.begun.wait()
    stopping = asyncio.create_task(worker.rounds.stop(task, 60))
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
    await worker.rounds.stop(task, 0.01)
    assert not task.done()
    task.cancel()
    idle = asyncio.create_task(asyncio.Event().wait())
    await Rounds().stop(idle, 60)  # type: ignore[arg-type]
    idle.cancel()
