"""What a tick of admission costs with many segments planned, beside the least that a statement must do for as many; and
100 collections of a year of days, given their slots to the last one.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from db.pool import open_pool
from tests.backfill import Seed
from tests.bench import ticks
from tests.bench.admission_scale import scale
from tests.bench.lines import Line, alone, beside
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.planned import Plan, fill
from tests.bench.rounds import in_turns, say
from tests.bench.ticks import LEAST, OURS, Prepare
from tests.postgres import Database

TARGET = 20.0
"""Milliseconds that a tick may take with PLANNED segments planned."""

PLANNED = Plan(instances=10, collections=274, segments=365, teams=10, busy=9)
BATCH = 200

INSTANCES, TEAMS, USERS = 10, 5, 2
"""Of the collections that are given their slots to the last: each instance has some of every user of every team."""


async def run(place: Place) -> Outcome:
    lines = await _situations(place)
    line, figures = await _to_the_last(place, *((20, 60) if place.quick else (100, 365)))
    lines.append(line)
    grown = await scale(place, [Plan(instances=1000, collections=3000, segments=30, teams=50, busy=9)])
    return Outcome(lines + grown.lines, text=grown.text, figures={"to the last": figures, "scale": grown.figures})


class Situation(msgspec.Struct, frozen=True):
    """So many slots are to be given; `least`: the least statement is asked for as many."""

    name: str
    prepare: Prepare
    given: int
    least: bool = True


async def _ended(connection: asyncpg.Connection[Any], most: int) -> None:
    await ticks.complete(connection, await ticks.leases(connection, most))


SITUATIONS = (
    Situation("every slot taken", partial(_ended, most=0), 0, least=False),
    Situation("5 slots free", partial(_ended, most=5), 5),
    Situation("all 90 slots free", partial(_ended, most=90), 90),
    Situation(
        "everything paused",
        lambda connection: connection.execute("UPDATE report_data_collections SET paused = '{}'"),
        0,
        least=False,
    ),
)


async def _situations(place: Place) -> list[Line]:
    """Ticks with PLANNED segments planned. All are taken back, so that each meets the same."""
    count = 10 if place.quick else 12
    async with place.server.fresh_database() as database:
        await fill(database, PLANNED)
        admin = await asyncpg.connect(database.admin_url)
        await admin.execute(ticks.CREATE_LEAST)
        connection = await asyncpg.connect(database.service_url)
        for situation in SITUATIONS:
            await place.profiler.statement(
                f"admission-{situation.given}", connection, "SELECT * FROM admit_segments('{}', 60)"
            )

        async def measure(situation: Situation, function: str) -> list[float]:
            await admin.execute("VACUUM")  # of what was taken back
            one = partial(ticks.tick_taken_back, connection, situation.prepare, function)
            for _ in range(2):
                await one(max(situation.given, 1), situation.given)
            most = BATCH if function == OURS else situation.given
            return [await one(most, situation.given) for _ in range(count)]

        contenders = {
            (situation.name, function): partial(measure, situation, function)
            for situation in SITUATIONS
            for function in (OURS, LEAST)
            if function == OURS or situation.least
        }
        found = await in_turns(
            "admission",
            {f"{situation}: {function}": each for (situation, function), each in contenders.items()},
            place.rounds,
            lambda samples: f"{_percentile(samples, 50):.1f} ms",
        )
        await connection.close()
        await admin.close()
    lines = []
    scenario = f"admission, {PLANNED.planned:,} planned"
    for situation in SITUATIONS:
        ours = found[f"{situation.name}: {OURS}"]
        for percent in (50, 99):
            each = [_percentile(samples, percent) for samples in ours]
            target = TARGET if percent == 50 and situation.given < PLANNED.leases else None
            measure_name = f"{situation.name}, p{percent}"
            lines.append(alone(scenario, measure_name, "ms", each, better="less", target=target))
        if situation.least:
            theirs = [_percentile(samples, 50) for samples in found[f"{situation.name}: {LEAST}"]]
            mine = [_percentile(samples, 50) for samples in ours]
            lines.append(
                beside(scenario, f"{situation.name}, p50", "ms", mine, "the least statement", theirs, better="less")
            )
    return lines


def _percentile(samples: list[float], percent: int) -> float:
    return sorted(samples)[len(samples) * percent // 100]


async def _to_the_last(place: Place, collections: int, segments: int) -> tuple[Line, dict[str, float]]:
    """Gives all of them their slots: the oldest in flight end, the read models learn it, and the next are admitted.
    Raises WrongRows where a limit is passed, a segment is admitted twice or never, or somebody waits while others are
    served."""
    async with place.server.fresh_database() as database:
        pool = await open_pool(database.service_url, size=3)
        try:
            seed = Seed(pool)
            check = Check(collections, segments)
            await _plan(seed, check)
            connection = await asyncpg.connect(database.service_url)
            tick_times, begun = [], time.perf_counter()
            while len(check.admitted) < collections * segments:
                ended = check.end_oldest(BATCH)
                if ended:
                    await ticks.complete(connection, ended)
                    await seed.project()
                rows, milliseconds = await ticks.tick(connection, OURS, BATCH)
                tick_times.append(milliseconds)
                check.admit(rows)
            took = time.perf_counter() - begun
            await ticks.complete(connection, check.end_oldest(BATCH))
            await seed.project()
            if rows := (await ticks.tick(connection, OURS, BATCH))[0]:
                raise WrongRows(f"{len(rows)} more than were planned have been admitted")
            await check.compare(database)
            await connection.close()
        finally:
            await pool.close()
    total = len(check.admitted)
    say(f"admission  {total:,} admitted in {len(tick_times)} ticks, {took:.0f} s with all that the ends cost")
    rates = [total / (sum(tick_times) / 1000)]
    scenario = f"admission, {collections} × {segments} to the last"
    line = alone(scenario, "admitted a second of ticks, with their commits", "/s", rates, better="more")
    figures = {
        "segments": float(total),
        "ticks": float(len(tick_times)),
        "tick_p50_ms": _percentile(tick_times, 50),
        "tick_p99_ms": _percentile(tick_times, 99),
        "seconds": took,
    }
    return line, figures


async def _plan(seed: Seed, check: Check) -> None:
    for number in range(INSTANCES):
        await seed.instance(f"amc{number}")
    users = {(team, user): UUID(int=100 * team + user + 1) for team in range(TEAMS) for user in range(USERS)}
    for number in range(check.collections):
        team, user = number // INSTANCES % TEAMS, number // INSTANCES // TEAMS % USERS
        instance = f"amc{number % INSTANCES}"
        collection_id = await seed.collection(
            check.segments, team=f"team-{team}", user=users[team, user], instance_id=instance, parallel_limit=5
        )
        check.plan(collection_id, instance, (f"team-{team}", user))
    await seed.project()


class Check:
    """What may not happen, told by what is admitted and what ends."""

    SLOTS = 9
    """Of an instance's ten, those for bulk work."""

    PARALLEL = 5

    def __init__(self, collections: int, segments: int) -> None:
        self.collections = collections
        self.segments = segments
        self.admitted: dict[Any, Any] = {}
        self._in_flight: list[ticks.Lease] = []
        self._instances: dict[Any, str] = {}
        self._owners: dict[Any, tuple[str, int]] = {}
        self._given: Counter[Any] = Counter()

    def plan(self, collection_id: Any, instance: str, owner: tuple[str, int]) -> None:
        self._instances[collection_id] = instance
        self._owners[collection_id] = owner

    def end_oldest(self, most: int) -> list[ticks.Lease]:
        """Two thirds of what is in flight: some slots stay taken, as in life."""
        count = min(most, -(-len(self._in_flight) * 2 // 3))
        ended, self._in_flight = self._in_flight[:count], self._in_flight[count:]
        return ended

    def admit(self, rows: list[Any]) -> None:
        for row in rows:
            if row["segment_id"] in self.admitted:
                raise WrongRows(f"segment {row['segment_id']} was admitted twice")
            self.admitted[row["segment_id"]] = row["collection_id"]
            self._in_flight.append(ticks.Lease(row["segment_id"], row["collection_id"]))
            self._given[row["collection_id"]] += 1
        of_collection = Counter(lease.collection_id for lease in self._in_flight)
        of_instance = Counter(self._instances[lease.collection_id] for lease in self._in_flight)
        if max(of_collection.values()) > self.PARALLEL or max(of_instance.values()) > self.SLOTS:
            raise WrongRows(f"limits were passed: {max(of_collection.values())}, {max(of_instance.values())}")
        left = self.collections * self.segments - len(self.admitted)
        full = sum(min(self.SLOTS, count) for count in of_instance.values())
        if max(self._given.values()) <= self.segments - self.PARALLEL:  # nobody has come to the end
            if left and full < self.SLOTS * len(set(self._instances.values())):
                raise WrongRows(f"{full} slots are taken, and {left} segments wait")
            self._fair()

    def _fair(self) -> None:
        """Nobody gets less than two thirds of what another gets, but for the slots that can be taken at once. Turns
        make equal what is held at a time, not what was given in all: that also follows from who ends when."""
        for name, key in (("team", 0), ("user", slice(None))):
            given = Counter[Any]()
            for collection_id, owner in self._owners.items():
                given[owner[key]] += self._given[collection_id]
            if min(given.values()) < max(given.values()) * 2 / 3 - self.SLOTS * INSTANCES:
                raise WrongRows(f"some {name} was given {max(given.values())}, another {min(given.values())}")

    async def compare(self, database: Database) -> None:
        """The log has exactly one dispatch of each planned segment, and nothing else was planned."""
        connection = await asyncpg.connect(database.admin_url)
        try:
            rows = await connection.fetchrow(
                "SELECT (SELECT count(*) FROM report_data_weeks) AS planned,"
                "       (SELECT count(*) FROM report_data_weeks WHERE status = 'completed' AND attempts = 1) AS done,"
                "       count(*) AS dispatched, count(DISTINCT stream) AS streams"
                "  FROM report_builder_audit WHERE event_type = 'segment.dispatched'"
            )
        finally:
            await connection.close()
        total = self.collections * self.segments
        assert rows is not None
        if (rows["planned"], rows["dispatched"], rows["streams"]) != (total, total, total):
            raise WrongRows(f"{total} segments were planned, and the log has {dict(rows)}")
