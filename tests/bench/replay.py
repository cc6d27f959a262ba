"""How fast a program that reads the whole log has its events as structs, beside COPY of the same rows and a library.

The library is measured twice: as its recorder selects events, whose bodies are still bytes, and with each made the
object that its applications work with, as ours are. The second is what compares; the first is told without a target.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import asyncpg
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import DatetimeAsISO, JSONTranscoder, Mapper
from eventsourcing.postgres import PostgresApplicationRecorder
from eventsourcing.utils import get_topic

from events.reader import COLUMNS, no_collector, read_log
from tests.bench import library
from tests.bench.lines import beside
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.rounds import in_turns
from tests.histories import fill_history
from tests.postgres import Database

EVENTS, QUICK = 100_000, 30_000

OURS = "events as structs"
COPY = "COPY … TO STDOUT of the same rows"
LIBRARY = "eventsourcing, events as objects"
SELECTED = "eventsourcing, events as bytes"

PAGE = 5000
"""Where the library was fastest, of 100, 300, 1,000, 5,000 and 20,000."""

TABLE = "library_log"


async def run(place: Place) -> Outcome:
    events = QUICK if place.quick else EVENTS
    async with place.server.fresh_database() as database:
        await fill_history(database, events)
        await _fill_library(database)
        # As a rebuild does; the library is the faster by it, too.
        with no_collector():
            rates = await in_turns(
                "replay",
                {
                    OURS: partial(_structs, database, events),
                    COPY: partial(_copy, database, events),
                    LIBRARY: partial(_library, database, events, decoded=True),
                    SELECTED: partial(_library, database, events, decoded=False),
                },
                place.rounds,
                lambda rate: f"{rate:,.0f} events/s",
            )
    return Outcome(
        [
            beside("replay", "events", "/s", rates[OURS], other, rates[other], better="more", target=target)
            for other, target in ((COPY, 0.4), (SELECTED, 5.0), (LIBRARY, None))
        ]
    )


async def _structs(database: Database, events: int) -> float:
    """Every event with its body decoded, in the order of the log."""
    connection = await asyncpg.connect(database.service_url)
    try:
        begun = time.perf_counter()
        position = 0
        async for batch in read_log(connection, 0, events):
            for event in batch:
                position += 1
                if event.position != position or event.data is None:
                    raise WrongRows(f"position {event.position} came where {position} was to come")
        seconds = time.perf_counter() - begun
    finally:
        await connection.close()
    _check(OURS, position, events)
    return events / seconds


async def _copy(database: Database, events: int) -> float:
    """The bytes as they come, looked at by nobody."""

    async def leave(data: bytes) -> None:
        pass

    connection = await asyncpg.connect(database.service_url)
    try:
        begun = time.perf_counter()
        query = f"SELECT {COLUMNS} FROM report_builder_audit ORDER BY position"
        status = await connection.copy_from_query(query, output=leave)
        seconds = time.perf_counter() - begun
    finally:
        await connection.close()
    _check(COPY, int(status.rpartition(" ")[2]), events)
    return events / seconds


class Recorded(DomainEvent):
    """What the library makes of an event: its columns, and its body as JSON gives it."""

    event_type: str
    team_id: str
    user_id: str | None
    workflow_id: str | None
    step_completed: str | None
    body: dict[str, Any]
    metadata: dict[str, Any]


STATE = """json_build_object(
  'timestamp', json_build_object('_type_', 'datetime_iso', '_data_', to_json(recorded_at)),
  'event_type', event_type, 'team_id', team_id, 'user_id', user_id, 'workflow_id', workflow_id,
  'step_completed', step_completed, 'body', configuration, 'metadata', metadata)::text"""


async def _library(database: Database, events: int, *, decoded: bool) -> float:
    with library.datastore(database, 1) as connections:
        recorder = PostgresApplicationRecorder(connections, events_table_name=TABLE)
        return await asyncio.to_thread(_select, recorder, events, decoded)


def _select(recorder: PostgresApplicationRecorder, events: int, decoded: bool) -> float:
    transcoder = JSONTranscoder()
    transcoder.register(DatetimeAsISO())
    mapper = Mapper[Any](transcoder)
    begun = time.perf_counter()
    position = 0
    while page := recorder.select_notifications(position + 1, PAGE):
        for notification in page:
            position += 1
            if notification.id != position or (decoded and not mapper.to_domain_event(notification)):
                raise WrongRows(f"notification {notification.id} came where {position} was to come")
    seconds = time.perf_counter() - begun
    _check(LIBRARY, position, events)
    return events / seconds


async def _fill_library(database: Database) -> None:
    """The same events, with the same bodies, in the library's own table."""
    with library.datastore(database, 1) as connections:
        recorder = PostgresApplicationRecorder(connections, events_table_name=TABLE)
        await asyncio.to_thread(recorder.create_table)
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(
            f"INSERT INTO {TABLE} (originator_id, originator_version, topic, state, notification_id)"
            f" SELECT md5(stream)::uuid, stream_version, $1, convert_to({STATE}, 'UTF8'), position"
            "   FROM report_builder_audit ORDER BY position",
            get_topic(Recorded),
        )
        await admin.execute("VACUUM ANALYZE")
    finally:
        await admin.close()


def _check(contender: str, found: int, events: int) -> None:
    if found != events:
        raise WrongRows(f"{contender}: {found} of {events} events came")
