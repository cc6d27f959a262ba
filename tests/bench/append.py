"""How fast events become durable: many callers at once, one alone, and batches."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import asyncpg

from events.append import APPEND, EncodedRequest, batch_arguments
from tests.bench import library, pgbench, pool, writer
from tests.bench.lines import alone, beside
from tests.bench.measuring import CALLERS, Load, Result
from tests.bench.place import Outcome, Place
from tests.bench.rounds import in_turns
from tests.bench.sample import new_request
from tests.postgres import Database

Measure = Callable[[Database, Load], Awaitable[Result]]

OURS = "AppendWriter"
PGBENCH = f"pgbench, {pgbench.CLIENTS} clients, prepared INSERT"
ALONE = "pgbench, 1 client, prepared INSERT"
POOL = f"asyncpg pool, {pool.CONNECTIONS} connections, INSERT"
ORDERED = "eventsourcing, ordered log"
STREAMS = "eventsourcing, streams alone"

BATCH = 100
BATCH_CALLERS = 32


async def run(place: Place) -> Outcome:
    pgbench.find_pgbench()
    load = Load(1, 1) if place.quick else Load(1, 2)
    many = await _rounds(place, "append", load, {
        OURS: writer.measure, PGBENCH: pgbench.measure, ORDERED: library.measure,
        **({} if place.quick else {POOL: pool.measure, STREAMS: library.measure_unordered}),
    })  # fmt: skip
    one = await _rounds(place, "append, 1 caller", load, {
        OURS: partial(writer.measure, callers=1), ALONE: partial(pgbench.measure, clients=1),
    })  # fmt: skip
    batches = await _rounds(place, "append, batches", load, {
        OURS: partial(writer.measure, callers=BATCH_CALLERS, batch=BATCH),
        ORDERED: partial(library.measure, batch=BATCH),
    })  # fmt: skip
    rates = {name: [result.rate for result in results] for name, results in many.items()}
    scenario = f"append, {CALLERS} callers"
    lines = [
        beside(scenario, "events", "/s", rates[OURS], other, rates[other], better="more", target=target)
        for other, target in ((PGBENCH, 3.0), (ORDERED, 40.0), (POOL, None), (STREAMS, None))
        if other in rates
    ]
    lines += [
        alone(scenario, f"p{percent}", "ms", [each.milliseconds(percent) for each in many[OURS]], better="less")
        for percent in (50, 99)
    ]
    lines += [
        beside(
            "append, 1 caller",
            f"p{percent}",
            "ms",
            [each.milliseconds(percent) for each in one[OURS]],
            ALONE,
            [each.milliseconds(percent) for each in one[ALONE]],
            better="less",
            target=target,
        )
        for percent, target in ((50, 2.0), (99, None))
    ]
    lines.append(
        beside(
            f"append, batches of {BATCH}",
            "events",
            "/s",
            [each.rate for each in batches[OURS]],
            ORDERED,
            [each.rate for each in batches[ORDERED]],
            better="more",
            target=2.5,
        )
    )
    await _explain(place)
    return Outcome(lines)


async def _rounds(
    place: Place, scenario: str, load: Load, contenders: Mapping[str, Measure]
) -> dict[str, list[Result]]:
    """Each on a database of its own, none of which has to pay for another's pages."""

    async def measure(name: str) -> Result:
        async with place.server.fresh_database() as database:
            await place.server.run("CHECKPOINT")
            own = (os.getpid(),) if name == OURS else ()
            with place.profiler.processes(scenario, *own):
                return await contenders[name](database, load)

    return await in_turns(scenario, {name: partial(measure, name) for name in contenders}, place.rounds)


async def _explain(place: Place) -> None:
    """What the server does for a batch."""
    async with place.server.fresh_database() as database:
        connection = await asyncpg.connect(database.service_url)
        batch = batch_arguments([EncodedRequest(new_request()) for _ in range(CALLERS // 2)])
        await place.profiler.statement("append", connection, APPEND, batch)
        await connection.close()
