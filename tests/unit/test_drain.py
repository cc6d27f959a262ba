"""All parts stop at the same time, each with the whole grace time, and none because of another's fault."""

from __future__ import annotations

import asyncio

import pytest

from service.drain import Drain


async def test_every_part_is_told_before_any_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    drain = Drain(7)
    told: list[tuple[str, float]] = []
    all_told = asyncio.Event()

    async def stop(part: str, grace: float) -> None:
        told.append((part, grace))
        if len(told) == 2:
            all_told.set()
        await all_told.wait()

    async def broken(grace: float) -> None:
        raise OSError("gone")

    drain.add("broken", broken)
    drain.add("one", lambda grace: stop("one", grace))
    drain.add("two", lambda grace: stop("two", grace))
    async with asyncio.timeout(10):
        await drain.run()
    assert sorted(told) == [("one", 7), ("two", 7)]
    assert "not_drained" in "".join(capsys.readouterr())
