"""How many messages a second the engine takes through RabbitMQ, beside frameworks that run tasks of nothing.

The comparison is not of equals, and says so: a segment is three messages with five events, four calls to AMC and a
file; a task is one message and one row. All have the same RabbitMQ node, quorum queues, confirmed publications, late
acknowledgements and the same PostgreSQL, one after the other, in another order each round. What a segment's own
work takes, without any queue, is measured beside them: whoever orders it cannot be faster than that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Protocol

import msgspec

from tests.bench import engine, straight, tasks
from tests.bench.lines import alone, beside, number
from tests.bench.place import Outcome, Place
from tests.bench.processor import processor_seconds
from tests.bench.rounds import in_turns
from tests.postgres import Database
from tests.rabbitmq import RabbitNode

OURS = "report-builder, segments"
STRAIGHT = "the same segments, ordered by nobody"


class Contender(Protocol):
    """Something that runs units of work, each of so many messages."""

    messages: int

    @property
    def processes(self) -> Sequence[int]: ...

    async def run(self, count: int) -> float: ...

    def processor(self) -> float: ...

    def sandbox(self) -> float: ...

    async def check(self) -> None: ...


Opened = Callable[[Database, str, Path], AbstractAsyncContextManager[Contender]]

CONTENDERS: dict[str, Opened] = {
    OURS: engine.contender,
    STRAIGHT: straight.contender,
    "taskiq-aio-pika, no-op tasks": partial(tasks.contender, "taskiq"),
    "dramatiq, no-op tasks": partial(tasks.contender, "dramatiq"),
    "Celery, no-op tasks": partial(tasks.contender, "celery"),
}


class Measured(msgspec.Struct, frozen=True):
    """One round of one contender: messages a second, and milliseconds of processor time for each, by whom. The
    sandbox's counts for nobody, but what it takes of the machine is missing to who runs segments."""

    rate: float
    own: float
    rabbitmq: float
    postgresql: float
    sandbox: float

    @property
    def processor(self) -> float:
        return self.own + self.rabbitmq + self.postgresql

    def __str__(self) -> str:
        return f"{self.rate:,.0f} messages/s, {self.processor:.2f} ms of processor time each"


async def run(place: Place) -> Outcome:
    count = 100 if place.quick else 400
    with RabbitNode() as node:
        contenders = {name: partial(_measure, name, place, node, count) for name in CONTENDERS}
        found = await in_turns("segments", contenders, place.rounds)
    rates = {name: [each.rate for each in measures] for name, measures in found.items()}
    used = {name: [each.processor for each in measures] for name, measures in found.items()}
    others = [name for name in CONTENDERS if name != OURS]
    lines = [
        beside(
            "segments", "messages", "/s", rates[OURS], other, rates[other], better="more",
            target=None if other == STRAIGHT else 1.0,
        )
        for other in others
    ]  # fmt: skip
    lines += [
        beside("segments", "processor time of a message", "ms", used[OURS], other, used[other], better="less")
        for other in others
    ]
    segments = [rate / engine.MESSAGES for rate in rates[OURS]]
    lines.append(alone("segments", "segments", "/s", segments, better="more"))
    return Outcome(lines, table(found), found)


async def _measure(name: str, place: Place, node: RabbitNode, count: int) -> Measured:
    """`count` segments, or as many tasks as these have messages."""
    # Not in a private folder: what a contender needs of it may be another user's.
    folder = Path(tempfile.mkdtemp(dir=place.folder))
    folder.chmod(0o755)
    try:
        async with place.server.fresh_database(migrated=name in (OURS, STRAIGHT)) as database:
            await place.server.run("CHECKPOINT")  # so that nobody pays for another's pages
            async with CONTENDERS[name](database, node.url, folder) as contender:
                messages = count * engine.MESSAGES
                roots = ([node.pid], [place.postmaster])
                before = (contender.processor(), *map(processor_seconds, roots), contender.sandbox())
                with place.profiler.processes(name.partition(",")[0], *contender.processes):
                    seconds = await contender.run(messages // contender.messages)
                after = (contender.processor(), *map(processor_seconds, roots), contender.sandbox())
                await contender.check()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Measured(
        messages / seconds, *((end - begin) * 1000 / messages for begin, end in zip(before, after, strict=True))
    )


def table(found: Mapping[str, Sequence[Measured]]) -> str:
    """Whose processor time it is."""
    whose = ("own", "rabbitmq", "postgresql", "sandbox")
    text = [
        f"{'Processor time of a message, ms':40}{'own':>8}{'RabbitMQ':>10}{'PostgreSQL':>12}{'beside it, sandbox':>20}"
    ]
    for name, measures in found.items():
        own, rabbitmq, postgresql, sandbox = (number(median(getattr(each, who) for each in measures)) for who in whose)
        text.append(f"{name:40}{own:>8}{rabbitmq:>10}{postgresql:>12}{sandbox:>20}")
    return "\n".join(
        [
            *text,
            "A segment is three messages, with five events, four calls to AMC and a file of its rows; a task is one,"
            " with one row.",
        ]
    )
