"""A rebuild of a long log while everything goes on: writers write, the projector projects, readers read, and the
process that rebuilds is killed again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from db.pool import Pool
from events.feed import Feed
from projections.rebuild import rebuild
from projections.runner import Projector
from projections.status import read_status
from tests.histories import fill_history
from tests.postgres import Database
from tests.recording import Move, record_collection, record_moves

MOVES: tuple[Move, ...] = ("admit", "submit", "start", "execute", "complete")

DAMAGE = """
UPDATE report_data_weeks SET error = 'planted'
 WHERE segment_id IN (SELECT segment_id FROM report_data_weeks ORDER BY segment_id LIMIT 100);
DELETE FROM report_steps WHERE report_id IN (SELECT report_id FROM report_steps ORDER BY report_id LIMIT 10);
INSERT INTO workflows SELECT (jsonb_populate_record(w, '{"workflow_id": "planted"}')).* FROM workflows w LIMIT 1
"""
DAMAGED = {"removed": 1, "added": 10, "changed": 100}

# What a reader must find whole at any moment, though the tables are not one statement's.
WHOLE = """
SELECT (SELECT count(*) FROM report_data_collections) AS collections,
       (SELECT sum(segments_total) FROM report_data_collections) AS planned,
       (SELECT count(*) FROM report_data_weeks) AS segments,
       (SELECT count(*) FROM workflow_schedules) AS schedules, (SELECT count(*) FROM reports) AS reports
"""


class Outcome(msgspec.Struct, frozen=True):
    """What happened: the command's last answer, the positions that killed ones had come to, and how much went on."""

    rebuilt: dict[str, Any]
    killed_at: list[int]
    reads: int
    written: int
    seconds: float


async def rebuild_under_load(database: Database, pool: Pool, events: int, kills: int) -> Outcome:
    """Damages the tables of so many events and has them rebuilt; asserts that nobody ever finds them half."""
    await fill_history(database, events)
    await rebuild(database.service_url)
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute(DAMAGE)
    feed = Feed(pool)
    await feed.start()
    stopping = asyncio.Event()
    counts = {"reads": 0, "written": 0}
    async with (
        _at_work(feed.run(), Projector(pool, feed).run()),
        asyncio.TaskGroup() as others,
    ):
        others.create_task(_write(database, feed, stopping, counts))
        others.create_task(_read(pool, stopping, counts))
        try:
            goals = [events * (number + 1) // (kills + 1) for number in range(kills)]
            killed_at = [await _kill_one(database, admin, goal) for goal in goals]
            await _gone(admin)
            begun = time.perf_counter()
            answer = await _finish(database)
            seconds = time.perf_counter() - begun
        finally:
            stopping.set()
    await admin.close()
    return Outcome(answer, killed_at, counts["reads"], counts["written"], seconds)


def _command(database: Database, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")}
    return subprocess.Popen(
        [sys.executable, "-m", "service", "projections", *arguments],
        env=environment | {"REPORT_BUILDER_DATABASE_URL": database.service_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def _kill_one(database: Database, admin: asyncpg.Connection[Any], position: int) -> int:
    """Starts a rebuild and kills it when it has come to the position; answers what it has left. It cannot come to its
    end before."""
    await _gone(admin)
    async with admin.transaction():
        await admin.execute("SELECT FROM projection_checkpoints FOR UPDATE")
        process = _command(database, "rebuild")
        try:
            async with asyncio.timeout(600):
                while (reached := await _reached(admin)) < position:
                    assert process.poll() is None, process.communicate()
                    await asyncio.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    return reached


async def _reached(admin: asyncpg.Connection[Any]) -> int:
    status = await read_status(admin)
    return status.rebuild.position if status.rebuild is not None else 0


async def _gone(admin: asyncpg.Connection[Any]) -> None:
    """Waits until the server has noticed that the last one is dead."""
    there = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'report-builder rebuild'"
    async with asyncio.timeout(60):
        while await admin.fetchval(there):
            await asyncio.sleep(0.01)


async def _finish(database: Database) -> dict[str, Any]:
    process = _command(database, "rebuild", "--json", "--reason", "after the kills")
    said, errors = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, errors
    answer: dict[str, Any] = msgspec.json.decode(said)
    return answer


async def _write(database: Database, feed: Feed, stopping: asyncio.Event, counts: dict[str, int]) -> None:
    log = await asyncpg.connect(database.service_url)
    while not stopping.is_set():
        collection_id, segments = await record_collection(log, 4)
        for number, segment_id in enumerate(segments):
            position = await record_moves(log, collection_id, segment_id, *MOVES[: number + 2])
        feed.appended(position)
        counts["written"] += 1
        await asyncio.sleep(0.01)
    await log.close()


async def _read(pool: Pool, stopping: asyncio.Event, counts: dict[str, int]) -> None:
    most = {"collections": 0, "schedules": 0, "reports": 0}
    while not stopping.is_set():
        row = await pool.fetchrow(WHOLE)
        assert row is not None
        assert row["planned"] == row["segments"]
        for name, least in most.items():
            assert row[name] >= max(least, 1), (name, row[name], least)
            most[name] = row[name]
        counts["reads"] += 1


@asynccontextmanager
async def _at_work(*work: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
