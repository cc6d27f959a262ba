"""Callers that share a round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from db.together import MOST, Together


class Asked:
    """Notes what goes together, and answers with it when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()

    async def __call__(self, asked: Sequence[int]) -> list[str]:
        self.batches.append(list(asked))
        await self.let.wait()
        if 13 in asked:
            raise ValueError("thirteen")
        return [f"answer to {each}" for each in asked]


async def begin(together: Together[int, str], number: int) -> asyncio.Task[str]:
    task = asyncio.create_task(together.ask(number))
    await asyncio.sleep(0.001)
    return task


async def test_who_comes_while_a_call_is_under_way_goes_with_the_next() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [await begin(together, number) for number in range(4)]
    asked.let.set()
    assert await asyncio.gather(*tasks) == [f"answer to {number}" for number in range(4)]
    assert asked.batches == [[0], [1, 2, 3]]
    assert await together.ask(4) == "answer to 4"


async def test_an_error_is_told_to_all_of_its_call_and_to_no_other() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [await begin(together, number) for number in (1, 13, 2)]
    asked.let.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, ValueError, ValueError]
    assert await together.ask(3) == "answer to 3"


async def test_who_is_cancelled_while_he_waits_is_not_asked_for_and_disturbs_nobody() -> None:
    asked = Asked()
    together = Together(asked)
    tasks = [await begin(together, number) for number in range(3)]
    tasks[1].cancel()
    await asyncio.sleep(0)
    asked.let.set()
    assert [await tasks[0], await tasks[2]] == ["answer to 0", "answer to 2"]
    assert asked.batches == [[0], [2]]
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]


async def test_no_call_is_for_more_than_it_may_be() -> None:
    asked = Asked()
    asked.let.set()
    together = Together(asked)
    await asyncio.gather(*(together.ask(number + 100) for number in range(2 * MOST + 1)))
    assert [len(batch) for batch in asked.batches] == [MOST, MOST, 1]
