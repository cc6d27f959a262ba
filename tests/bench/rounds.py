"""Contenders in turns: each round has every one of them, in another order each time."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

Found = TypeVar("Found")


async def in_turns(
    scenario: str,
    contenders: Mapping[str, Callable[[], Awaitable[Found]]],
    rounds: int,
    told: Callable[[Found], str] = str,
) -> dict[str, list[Found]]:
    """What each has found in each round; says on standard error how far it is."""
    found: dict[str, list[Found]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        for name in names:
            found[name].append(await contenders[name]())
            say(f"{scenario}  round {number + 1}/{rounds}  {name}: {told(found[name][-1])}")
        names = names[1:] + names[:1]
    return found


def say(text: str) -> None:
    """To whoever waits."""
    print(text, file=sys.stderr, flush=True)
