"""What a scenario stands on, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.bench.lines import Line
from tests.bench.profiles import Profiler
from tests.postgres import Server


class Place(msgspec.Struct, frozen=True):
    """A durable server, the process id of its postmaster, and a folder that goes with it; other users may pass through
    the folder. `quick` asks for less of everything, `rounds` for so many interleaved ones. `profiler` takes profiles
    where they are wanted."""

    server: Server
    postmaster: int
    folder: Path
    quick: bool
    rounds: int
    profiler: Profiler


class Outcome(msgspec.Struct, frozen=True):
    """`lines` for the common table. `text` has what else people want to read of it, `figures` the same for programs."""

    lines: list[Line]
    text: str = ""
    figures: object = None


Scenario = Callable[[Place], Awaitable[Outcome]]
