"""How fast the read models are built again from a million events: onto empty tables, where everything is written; onto
equal ones, where nothing is; and verified. Beside it the projector, which applies the same log in small batches.

Exit code 1 where a rebuild, from its start to its event, takes longer than the target allows, or the tables are not
those that the projector makes.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from db.pool import Pool, open_pool
from projections.rebuild import no_progress, rebuild, verify
from projections.runner import TABLES, project_batch
from projections.scratch import Progress
from tests.bench.measuring import WrongRows
from tests.bench.processor import processor_seconds
from tests.histories import fill_history
from tests.postgres import Database, Server

EVENTS = 1_000_000
PROJECTED = 50_000
"""So many for the projector, whose speed is the same for any number."""

TARGET = 50_000.0


class Measured(msgspec.Struct, frozen=True):
    """Events per second, of the median round: `rate` from the start to the end, `build` without the comparison and the
    change. Microseconds of processor time for each event, ours and PostgreSQL's. `memory`: what the process has had at
    most so far, in MiB."""

    name: str
    events: int
    rate: float
    build: float
    ours: float
    postgres: float
    memory: int

    @property
    def missed(self) -> bool:
        return self.name.startswith("rebuild") and self.rate < TARGET


async def run(server: Server, postmaster: int, rounds: int, events: int = EVENTS) -> list[Measured]:
    """Says on standard error what it is doing."""
    async with server.fresh_database() as database:
        pool = await open_pool(database.service_url)
        try:
            return await _measure(database, pool, postmaster, rounds, events)
        finally:
            await pool.close()


async def _measure(database: Database, pool: Pool, postmaster: int, rounds: int, events: int) -> list[Measured]:
    started = time.perf_counter()
    await fill_history(database, events)
    _say(f"{events:,} events in {time.perf_counter() - started:.0f} s")

    async def build(progress: Progress) -> int:
        return (await rebuild(database.service_url, progress=progress)).position

    async def check(progress: Progress) -> int:
        verified = await verify(database.service_url, progress=progress)
        if verified.differences:
            raise WrongRows(f"the read models differ from the log: {verified.first}")
        return verified.position

    async def project(progress: Progress) -> int:
        position, applied = 0, 1
        while applied and position < min(PROJECTED, events):
            position, applied = await project_batch(pool)
        return position

    async def empty() -> None:
        for table in reversed(TABLES):
            await pool.execute(f"DELETE FROM {table.name}")
        await pool.execute("UPDATE projection_checkpoints SET position = 0")

    async def settled() -> None:
        pass

    clock = _Clock(postmaster)
    found = [await clock.median("projector", project, empty, 1)]
    await check(no_progress)  # what the projector has made is what is built
    found.append(await clock.median("rebuild of empty tables", build, empty, rounds))
    found.append(await clock.median("rebuild of equal tables", build, settled, rounds))
    found.append(await clock.median("verify", check, settled, rounds))
    return found


class _Clock:
    """Runs what is measured, round by round."""

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster

    async def median(
        self,
        name: str,
        work: Callable[[Progress], Awaitable[int]],
        prepare: Callable[[], Awaitable[None]],
        rounds: int,
    ) -> Measured:
        """The round whose rate is the median of all."""
        measured = []
        for number in range(rounds):
            await prepare()
            measured.append(await self._measure(name, work))
            _say(f"{name}, round {number + 1}/{rounds}: {measured[-1].rate:,.0f}/s")
        return sorted(measured, key=lambda each: each.rate)[(rounds - 1) // 2]

    async def _measure(self, name: str, work: Callable[[Progress], Awaitable[int]]) -> Measured:
        built = time.perf_counter()

        def progress(done: int, total: int) -> None:
            nonlocal built
            built = time.perf_counter()

        ours, theirs = time.process_time(), processor_seconds([self._postmaster])
        begun = time.perf_counter()
        events = await work(progress)
        seconds = time.perf_counter() - begun
        return Measured(
            name,
            events,
            events / seconds,
            events / (built - begun) if built > begun else events / seconds,
            (time.process_time() - ours) / events * 1e6,
            (processor_seconds([self._postmaster]) - theirs) / events * 1e6,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(results: Sequence[Measured]) -> str:
    """For people."""
    lines = [
        f"{'':28}{'events':>12}{'a second':>12}{'built a second':>16}{'processor us each: own':>24}{'PostgreSQL':>12}"
        f"{'memory MiB':>12}"
    ]
    lines += [
        f"{each.name:28}{each.events:12,}{each.rate:12,.0f}{each.build:16,.0f}{each.ours:24.1f}{each.postgres:12.1f}"
        f"{each.memory:12,}{'  MISSED' if each.missed else ''}"
        for each in results
    ]
    missed = [each.name for each in results if each.missed]
    verdict = (
        f"Below {TARGET:,.0f} a second: {', '.join(missed)}" if missed else f"Every rebuild is over {TARGET:,.0f}."
    )
    return "\n".join([*lines, "", verdict])
