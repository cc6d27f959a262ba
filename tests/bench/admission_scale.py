"""Admission over 1,000 instances, with more and more collections unfinished: what one tick costs, and how many segments
a second it can give slots to.

It starts from a full house, 9,000 slots taken. In each round so many of them end, their ends are recorded and
projected, and one call gives their slots anew. Nothing of it is taken back. Then every slot is free at once, as after a
long stop, and calls give them away again.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import asyncpg
import msgspec

from db.pool import open_pool
from tests.backfill import Seed
from tests.bench import ticks
from tests.bench.lines import Line, alone
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.planned import Plan, fill
from tests.bench.rounds import say
from tests.bench.ticks import OURS

ENDS = (0, 12, 200)
"""Segments that end between two ticks: a tick with nothing to give; what a million reports a day end in a second; as
many as one call gives."""

BATCH = 200

PLANS = [
    Plan(instances=1000, collections=3_000, segments=30, teams=50, busy=9),
    Plan(instances=1000, collections=100_000, segments=4, teams=100, busy=9),
]


class Found(msgspec.Struct, frozen=True):
    """Milliseconds of each call, with its commit, by how many slots there were to give, and those of processor time
    that PostgreSQL used for it; `filling`: of calls that give BATCH slots of which all are free."""

    collections: int
    planned: int
    ticks: dict[int, list[float]]
    processor: dict[int, list[float]]
    filling: list[float]
    filling_processor: list[float]


async def run(place: Place) -> Outcome:
    """For `make bench-scale`."""
    return await scale(place, PLANS)


async def scale(place: Place, plans: Sequence[Plan]) -> Outcome:
    """The simulation for each plan. Raises WrongRows where a slot that was free was not given, or one that was not."""
    found = [await simulate(place, plan, max(place.rounds, 5)) for plan in plans]
    lines = [line for each in found for line in _lines(each)]
    return Outcome(lines, text=_text(found), figures=found)


async def simulate(place: Place, plan: Plan, rounds: int) -> Found:
    async with place.server.fresh_database() as database:
        await fill(database, plan)
        connection = await asyncpg.connect(database.service_url)
        pool = await open_pool(database.service_url, size=2)
        admin = await asyncpg.connect(database.admin_url)
        try:
            seed = Seed(pool)
            backend = connection.get_server_pid()
            found: dict[int, list[float]] = {ends: [] for ends in ENDS}
            processor: dict[int, list[float]] = {ends: [] for ends in ENDS}
            for ends in ENDS:
                for number in range(rounds + 1):
                    await ticks.complete(connection, await ticks.leases(connection, ends))
                    await seed.project()
                    before = ticks.processor_milliseconds(backend)
                    rows, milliseconds = await ticks.tick(connection, OURS, BATCH)
                    used = ticks.processor_milliseconds(backend) - before
                    await seed.project()
                    _require(len(rows), ends)
                    if number:  # the first plans its statements
                        found[ends].append(milliseconds)
                        processor[ends].append(used)
                _require(await admin.fetchval("SELECT count(*) FROM segment_leases WHERE holds_slot"), plan.leases)
                say(f"admission  {plan.collections:,} collections, {ends} slots to give: {median(found[ends]):.1f} ms")
            await admin.execute("UPDATE segment_leases SET holds_slot = false")  # all have ended, none is fetched yet
            filling, filling_processor = [], []
            for _ in range(2 if place.quick else 3):
                before = ticks.processor_milliseconds(backend)
                rows, milliseconds = await ticks.tick(connection, OURS, BATCH)
                filling_processor.append(ticks.processor_milliseconds(backend) - before)
                _require(len(rows), BATCH)
                filling.append(milliseconds)
            say(f"admission  {plan.collections:,} collections, all slots to give: {median(filling):,.0f} ms a call")
        finally:
            await admin.close()
            await pool.close()
            await connection.close()
    return Found(plan.collections, plan.planned, found, processor, filling, filling_processor)


def _require(given: int, wanted: int) -> None:
    if given != wanted:
        raise WrongRows(f"{given} slots are given where {wanted} should be")


def _lines(found: Found) -> list[Line]:
    scenario = f"admission, 1,000 instances, {found.collections:,} collections"
    lines = [
        alone(scenario, f"tick with {ends} slots to give, with its commit", "ms", samples, better="less")
        for ends, samples in found.ticks.items()
    ]
    lines.append(alone(scenario, f"call that gives {BATCH} of 9,000", "ms", found.filling, better="less"))
    rates = [BATCH / milliseconds * 1000 for milliseconds in found.ticks[BATCH]]
    lines.append(alone(scenario, f"admissions, {BATCH} a tick", "/s", rates, better="more"))
    return lines


def _text(found: Sequence[Found]) -> str:
    """For people, and for docs/scale.md."""
    heading = f"{'collections':>12}{'planned':>10}" + "".join(f"{f'{ends} to give':>16}" for ends in ENDS)
    lines = [
        "Ticks of admission over 1,000 instances, ms at the median, and in brackets those of processor time",
        "",
        f"{heading}{'all to give':>16}",
    ]
    for each in found:
        cells = [_cell(samples, each.processor[ends]) for ends, samples in each.ticks.items()]
        cells.append(_cell(each.filling, each.filling_processor))
        lines.append(f"{each.collections:12,}{each.planned:10,}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def _cell(samples: Sequence[float], processor: Sequence[float]) -> str:
    return f"{median(samples):,.0f} ({median(processor):,.0f})"
