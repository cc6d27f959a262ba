"""The `eventsourcing` library's PostgreSQL recorder, one event per append, from threads over its own pool.

Its application recorder is the one that orders all events as our log does, by a lock on its table; that is what
its applications use.
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

THREADS = 16
STATE = (sample.CONFIGURATION + sample.METADATA_JSON).encode()


async def measure(database: Database, load: Load) -> Result:
    return await asyncio.to_thread(_measure, database, load, PostgresApplicationRecorder)
