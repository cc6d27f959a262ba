"""Reading the whole log: what comes is what a plain read gives, in whichever way the database packs it."""

from __future__ import annotations

from datetime import UTC

import asyncpg
import pytest

from events import reader
from events.envelope import RecordedEvent
from events.reader import LogDamaged, read_after, read_log
from tests.histories import fill_history
from tests.postgres import Database

EVENTS = 250


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PACK", 100)


async def read(connection: asyncpg.Connection[asyncpg.Record], after: int, until: int) -> list[list[RecordedEvent]]:
    return [pack async for pack in read_log(connection, after, until)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "Asia/Kolkata"])
async def test_the_whole_log_comes_in_packs_as_a_plain_read_gives_it(database: Database, zone: str) -> None:
    await fill_history(database, EVENTS)
    connection = await asyncpg.connect(database.service_url, server_settings={"timezone": zone})
    try:
        packs = await read(connection, 0, EVENTS)
        assert [len(pack) for pack in packs] == [100, 100, 50]
        events = [event for pack in packs for event in pack]
        assert events == await read_after(connection, 0, EVENTS)
        assert all(event.recorded_at.tzinfo is UTC for event in events)
        assert [[event.position for event in pack] for pack in await read(connection, 7, 9)] == [[8, 9]]
        assert await read(connection, 9, 9) == []
        assert await read(connection, EVENTS, EVENTS + 5) == []
        assert sum(map(len, await read(connection, 200, EVENTS + 5))) == 50
    finally:
        await connection.close()


async def test_a_gap_stops_who_reads_the_whole_log(database: Database) -> None:
    await fill_history(database, EVENTS)
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute("SET session_replication_role = replica")
        await admin.execute("DELETE FROM report_builder_audit WHERE position = 150")
        with pytest.raises(LogDamaged, match="position 150 is missing"):
            await read(admin, 0, EVENTS)
    finally:
        await admin.close()
