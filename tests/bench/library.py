"""The `eventsourcing` library's PostgreSQL recorders, from threads over its own pool.

Two of them, for they promise different things. The application recorder, which the library's applications use,
orders all events, as our log does, and locks its table for that. The aggregate recorder keeps streams alone:
nobody can follow it, so no target is set against it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresAggregateRecorder, PostgresApplicationRecorder, PostgresDatastore

from events.envelope import new_id
from tests.bench import sample
from tests.bench.measuring import Load, Loop, Result, check_rows
from tests.postgres import Database

# Where each was fastest, of 1, 4, 16 and 32: more threads only queue for the lock of the first.
ORDERED_THREADS = 4
UNORDERED_THREADS = 32
TOPIC = "events.types.report:Reviewed"
STATE = (sample.CONFIGURATION + sample.METADATA_JSON).encode()


async def measure(database: Database, load: Load, *, batch: int = 1) -> Result:
    """The application recorder: one order of all events."""
    table = "library_log"
    loop = Loop(load, batch=batch)
    with datastore(database, ORDERED_THREADS) as connections:
        recorder = PostgresApplicationRecorder(connections, events_table_name=table)
        result = await asyncio.to_thread(_run, recorder, loop, ORDERED_THREADS, batch)
    event = "(originator_id, originator_version)"
    await check_rows(database.admin_url, table, loop.appended, position="notification_id", id=event)
    return result


async def measure_unordered(database: Database, load: Load) -> Result:
    """The aggregate recorder: no order but each stream's own."""
    table = "library_streams"
    loop = Loop(load)
    with datastore(database, UNORDERED_THREADS) as connections:
        recorder = PostgresAggregateRecorder(connections, events_table_name=table)
        result = await asyncio.to_thread(_run, recorder, loop, UNORDERED_THREADS, 1)
    row_number = f"(SELECT *, row_number() OVER () FROM {table}) AS numbered"
    await check_rows(database.admin_url, row_number, loop.appended, position="row_number", id="originator_id")
    return result


def _run(recorder: PostgresAggregateRecorder, loop: Loop, threads: int, batch: int) -> Result:
    recorder.create_table()

    def append() -> None:
        stream = new_id()
        recorder.insert_events([StoredEvent(stream, version, TOPIC, STATE) for version in range(1, batch + 1)])

    loop.begin()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(loop.call_blocking, append) for _ in range(threads)]:
            done.result()
    return loop.result()


def datastore(database: Database, connections: int) -> PostgresDatastore:
    """Its own pool of so many connections."""
    address = urlsplit(database.admin_url)
    return PostgresDatastore(
        database.name,
        parse_qs(address.query)["host"][0],
        5432,
        address.username or "",
        "",
        pool_size=connections,
    )
