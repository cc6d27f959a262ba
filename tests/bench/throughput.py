"""How many segments a second the engine takes through RabbitMQ, beside frameworks that run tasks of nothing.

The comparison is not of equals, and says so: a segment is three messages with five events, four calls to AMC and a
file; a task is one message and one row. All have the same RabbitMQ node, quorum queues, confirmed publications, late
acknowledgements and the same PostgreSQL, one after the other, in another order each round.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Protocol

import msgspec

from tests.bench import segments, tasks
from tests.bench.processor import processor_seconds
from tests.postgres import Database, Server
from tests.rabbitmq import RabbitNode

OURS = "report-builder, segments"


class Contender(Protocol):
    """Something that runs units of work, each of so many messages."""

    unit: str
    messages: int

    async def run(self, count: int) -> float: ...

    def processor(self) -> float: ...

    async def check(self) -> None: ...


Opened = Callable[[Database, str, Path], AbstractAsyncContextManager[Contender]]

CONTENDERS: dict[str, Opened] = {
    OURS: segments.contender,
    "taskiq-aio-pika, no-op tasks": partial(tasks.contender, "taskiq"),
    "Celery, no-op tasks": partial(tasks.contender, "celery"),
}


class Measured(msgspec.Struct, frozen=True):
    """One round of one contender: units a second, and milliseconds of processor time for each unit, by whom."""

    rate: float
    messages: int
    processes: float
    rabbitmq: float
    postgresql: float


class Line(msgspec.Struct, frozen=True):
    """Medians over the rounds, and the quartiles of the rates; `ratio` is theirs to ours by message, of each round."""

    name: str
    units: float
    quartiles: tuple[float, float]
    messages: float
    ratio: float
    processes: float
    rabbitmq: float
    postgresql: float


async def run(server: Server, server_pid: int, rounds: int, count: int) -> list[Line]:
    """`count` segments a round, and as many tasks as these have messages; says on standard error what it does."""
    found: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    names = list(CONTENDERS)
    with RabbitNode() as node:
        for number in range(rounds):
            for name in names:
                measured = await _measure(name, server, server_pid, node, count)
                found[name].append(measured)
                print(f"round {number + 1}/{rounds}  {name}: {measured.rate:,.1f}/s", file=sys.stderr, flush=True)
            names = names[1:] + names[:1]
    return lines_of(found)


async def _measure(name: str, server: Server, server_pid: int, node: RabbitNode, count: int) -> Measured:
    # Not in a private folder: what a contender needs of it may be another user's.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-bench-", dir="/var/tmp"))
    try:
        async with server.fresh_database(migrated=name == OURS) as database:
            await server.run("CHECKPOINT")  # so that nobody pays for another's pages
            async with CONTENDERS[name](database, node.url, folder) as contender:
                units = count if name == OURS else count * segments.MESSAGES
                before = (contender.processor(), processor_seconds([node.pid]), processor_seconds([server_pid]))
                seconds = await contender.run(units)
                after = (contender.processor(), processor_seconds([node.pid]), processor_seconds([server_pid]))
                await contender.check()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    used = [(end - begin) * 1000 / units for begin, end in zip(before, after, strict=True)]
    return Measured(units / seconds, contender.messages, *used)


def lines_of(found: Mapping[str, Sequence[Measured]]) -> list[Line]:
    """`found` has one measure of each contender for each round; OURS is among them."""
    ours = [each.rate * each.messages for each in found[OURS]]
    lines = []
    for name, measures in found.items():
        rates = [each.rate for each in measures]
        low, _, high = quantiles(rates, n=4, method="inclusive") if len(rates) > 1 else (rates[0],) * 3
        per_message = [each.rate * each.messages for each in measures]
        lines.append(
            Line(
                name=name,
                units=median(rates),
                quartiles=(low, high),
                messages=median(per_message),
                ratio=median(theirs / mine for theirs, mine in zip(per_message, ours, strict=True)),
                processes=median(each.processes for each in measures),
                rabbitmq=median(each.rabbitmq for each in measures),
                postgresql=median(each.postgresql for each in measures),
            )
        )
    return lines


def table(lines: Sequence[Line], rounds: int, count: int) -> str:
    """For people."""
    text = [
        f"Work through RabbitMQ with what comes of it in PostgreSQL, medians of {rounds} interleaved rounds of"
        f" {count} segments, or {count * segments.MESSAGES} tasks",
        "",
        f"{'':32}{'a second':>10}{'quartiles':>16}{'messages/s':>12}{'to ours':>9}"
        f"{'processor ms each: own':>24}{'RabbitMQ':>10}{'PostgreSQL':>12}",
    ]
    for each in lines:
        quartiles = f"{each.quartiles[0]:,.1f}-{each.quartiles[1]:,.1f}"
        text.append(
            f"{each.name:32}{each.units:10,.1f}{quartiles:>16}{each.messages:12,.1f}{each.ratio:8.1f}×"
            f"{each.processes:24.2f}{each.rabbitmq:10.2f}{each.postgresql:12.2f}"
        )
    return "\n".join(
        [
            *text,
            "",
            "A segment is three messages with five events, four calls to AMC and a file of its rows; a task is one"
            " message and one row.",
        ]
    )
