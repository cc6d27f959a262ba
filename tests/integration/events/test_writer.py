"""The writer: many callers at once, each with the answer to its own request, whatever happens to the database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from db.pool import Pool, open_pool
from events.append import Appended, AppendRequest, Conflict, HalfKnown, IdempotencyKey, KeyReused, Write
from events.codec import UnstorableText
from events.envelope import RecordedEvent
from events.feed import Feed
from events.reader import read_after, read_head
from events.writer import AppendWriter, LogUnavailable, Overloaded
from tests.postgres import Database, Server
from tests.recording import blocked_backend, note, request

WRITERS, STREAMS, EACH, READERS = 64, 16, 10, 4


@pytest.fixture
async def writer(pool: Pool) -> AsyncIterator[AppendWriter]:
    writer = AppendWriter(pool)
    yield writer
    await writer.close()


@asynccontextmanager
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database.admin_url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def appends_held_up(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """While the block runs, every append waits for the lock."""
    async with admin(database) as connection, connection.transaction():
        await connection.execute("SELECT FROM append_lock FOR UPDATE")
        yield connection


async def test_64_writers_and_4_readers_agree_on_one_order(database: Database) -> None:
    """Two processes' worth of pools, writers and feeds. Each writer takes the version that it believes in."""
    total = WRITERS * EACH
    conflicts: list[tuple[str, int, int]] = []
    versions_of: dict[str, set[int]] = {}

    async def write(writer: AppendWriter, number: int) -> None:
        chance = random.Random(number)
        believed: dict[str, int] = {}
        for _ in range(EACH):
            stream = f"report-{chance.randrange(STREAMS)}"
            while True:
                expected = believed.get(stream, 0)
                try:
                    appended = await writer.append(request(stream, note(f"{number}"), expected=expected))
                except Conflict as conflict:
                    ((stream, actual),) = conflict.actual.items()
                    conflicts.append((stream, expected, actual))
                    believed[stream] = actual
                    continue
                assert appended.versions == (expected + 1,)
                assert not appended.duplicate
                assert appended.versions[0] not in versions_of.setdefault(stream, set())
                versions_of[stream].add(appended.versions[0])
                believed[stream] = appended.versions[0]
                break

    async def follow(feed: Feed, after: int) -> list[RecordedEvent]:
        seen: list[RecordedEvent] = []
        async for events in feed.follow(after):
            seen += events
            if seen and seen[-1].position >= total:
                return seen
        raise AssertionError

    pools = [await open_pool(database.service_url, size=4) for _ in range(2)]
    # The second feed's ring is far too small, so that its readers mostly read from the table.
    feeds = [Feed(pools[0]), Feed(pools[1], ring_size=8)]
    writers = [AppendWriter(pool, on_appended=feed.appended) for pool, feed in zip(pools, feeds, strict=True)]
    for feed in feeds:
        await feed.start()
    running = [asyncio.create_task(feed.run()) for feed in feeds]
    readers = [asyncio.create_task(follow(feeds[number % 2], 0)) for number in range(READERS)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(write(writers[number % 2], number) for number in range(WRITERS)))
        seen = await asyncio.gather(*readers)

    log = await read_after(pools[0], 0, total + 1)
    assert [event.position for event in log] == list(range(1, total + 1))
    for events in seen:
        assert events == log
    for stream, versions in versions_of.items():
        recorded = [event.stream_version for event in log if event.stream == stream]
        assert recorded == list(range(1, len(recorded) + 1))
        assert versions == set(recorded)
    assert sum(map(len, versions_of.values())) == total
    assert [event.recorded_at for event in log] == sorted(event.recorded_at for event in log)
    # In a stream that only grows, whoever expected too little is told a later version that there really was.
    assert conflicts
    for stream, expected, actual in conflicts:
        assert expected < actual <= max(versions_of[stream])

    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for writer in writers:
        await writer.close()
    for pool in pools:
        await pool.close()


async def test_what_cannot_be_stored_fails_alone_among_good_ones(
    writer: AppendWriter, database: Database, pool: Pool
) -> None:
    good = [request(f"report-{number}", expected="none") for number in range(20)]
    bad: list[tuple[AppendRequest, type[Exception]]] = [
        (request("report-a", note("U+0000: \0")), UnstorableText),
        (request("report-b", note("\ud800")), UnstorableText),
        (request("report-c\0", note()), asyncpg.CharacterNotInRepertoireError),
        (request("report-d\ud800", note()), asyncpg.DataError),
        (request("report-e", note(team_id="t\0")), asyncpg.CharacterNotInRepertoireError),
        (request("order-f", note()), asyncpg.CheckViolationError),
    ]
    async with appends_held_up(database):
        # The first commit waits for the lock, so that the good and the bad ones queue up into one batch.
        first = asyncio.create_task(writer.append(request("report-first")))
        await asyncio.sleep(0.1)
        mixed = [each for pair in zip(good, [request for request, _ in bad], strict=False) for each in pair]
        mixed += good[len(bad) :]
        sent = [asyncio.create_task(writer.append(each)) for each in mixed]
        await asyncio.sleep(0.1)
    answers = dict(zip(map(id, mixed), await asyncio.gather(*sent, return_exceptions=True), strict=True))
    await first
    for each in good:
        assert isinstance(answers[id(each)], Appended)
    for each, error in bad:
        assert isinstance(answers[id(each)], error), answers[id(each)]
    assert {event.stream for event in await read_after(pool, 0, 100)} == {
        "report-first",
        *(each.writes[0].stream for each in good),
    }


async def test_the_same_request_twice_at_once_is_recorded_once(writer: AppendWriter, pool: Pool) -> None:
    before = request("report-0")  # while it is committed the other two queue up together
    sent = request("report-1", note(), note(), expected="none")
    _, first, second = await asyncio.gather(*(writer.append(each) for each in (before, sent, sent)))
    assert (first.first_position, first.last_position) == (second.first_position, second.last_position) == (2, 3)
    assert sorted((first.duplicate, second.duplicate)) == [False, True]
    assert await read_head(pool) == 3


async def test_a_key_that_is_sent_twice_at_once_gives_both_the_first_answer(writer: AppendWriter, pool: Pool) -> None:
    requests = [
        request("report-1", expected="none", key=IdempotencyKey("k", b"digest", 201, f'{{"try": {number}}}'))
        for number in range(2)
    ]
    before = request("report-0")  # while it is committed the other two queue up together
    _, *answers = await asyncio.gather(*(writer.append(each) for each in (before, *requests)))
    assert await read_head(pool) == 2
    (first,) = [number for number, answer in enumerate(answers) if not answer.duplicate]
    assert answers[1 - first].answer == f'{{"try": {first}}}'
    with pytest.raises(KeyReused):
        await writer.append(request("report-1", key=IdempotencyKey("k", b"other", 201, "{}")))


async def test_a_caller_hears_what_is_wrong_with_its_request(writer: AppendWriter) -> None:
    kept = note()
    await writer.append(request("report-1", kept))
    with pytest.raises(HalfKnown):
        await writer.append(request("report-1", kept, note()))
    with pytest.raises(Conflict) as conflict:
        await writer.append(AppendRequest((Write("report-2", 0, (note(),)), Write("report-1", 7, (note(),)))))
    assert conflict.value.actual == {"report-2": 0, "report-1": 1}


async def test_the_row_of_a_caller_that_was_cancelled_is_recorded_all_the_same(
    writer: AppendWriter, database: Database, pool: Pool
) -> None:
    async with appends_held_up(database) as holder:
        sent = [asyncio.create_task(writer.append(request(f"report-{number}"))) for number in range(3)]
        await blocked_backend(holder)
        for task in sent:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*sent, return_exceptions=True)
        )
        assert await read_head(pool) == 0
    await writer.close()
    assert {event.stream for event in await read_after(pool, 0, 10)} == {"report-0", "report-1", "report-2"}


async def test_a_backend_that_is_terminated_mid_way_costs_nothing_and_doubles_nothing(
    writer: AppendWriter, database: Database, pool: Pool
) -> None:
    async with appends_held_up(database) as holder:
        sent = [asyncio.create_task(writer.append(request(f"report-{number}"))) for number in range(10)]
        assert await holder.fetchval("SELECT pg_terminate_backend($1)", await blocked_backend(holder))
    answers = await asyncio.gather(*sent)
    assert not any(answer.duplicate for answer in answers)
    assert sorted(answer.last_position for answer in answers) == list(range(1, 11))
    assert await read_head(pool) == 10


class CuttingProxy:
    """Stands between client and server; once armed, it cuts the connection instead of passing an answer on."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.armed = False
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)

        async def forward() -> None:
            while data := await reader.read(65536):
                server_writer.write(data)

        forwarding = asyncio.create_task(forward())
        with suppress(ConnectionError):
            while data := await server_reader.read(65536):
                if self.armed:
                    self.armed = False
                    self.cuts += 1
                    break
                writer.write(data)
        forwarding.cancel()
        writer.close()
        server_writer.close()


async def test_an_answer_that_is_lost_after_the_commit_is_asked_for_again(
    database: Database, postgres_server: Server, pool: Pool
) -> None:
    with TemporaryDirectory(dir="/var/tmp") as folder:
        proxy = CuttingProxy(str(Path(postgres_server.socket_folder) / ".s.PGSQL.5432"))
        server = await asyncio.start_unix_server(proxy.serve, str(Path(folder) / ".s.PGSQL.5432"))
        host = quote(folder, safe="")
        through = await open_pool(f"postgresql://report_builder@/{database.name}?host={host}", size=1)
        writer = AppendWriter(through)
        await writer.append(request("report-1"))  # from here on the statement is prepared: one round trip
        proxy.armed = True
        appended = await writer.append(request("report-1", expected=1))
        assert proxy.cuts == 1
        # To the caller it is the first answer, as nobody has given it another one.
        assert appended == Appended(2, 2, (2,))
        assert await read_head(pool) == 2
        await writer.close()
        await through.close()
        server.close()


async def test_a_queue_that_is_full_refuses_at_once(database: Database, pool: Pool) -> None:
    writer = AppendWriter(pool, max_queue=5)
    async with appends_held_up(database) as holder:
        first = asyncio.create_task(writer.append(request("report-1")))
        await blocked_backend(holder)
        waiting = [asyncio.create_task(writer.append(request("report-1"))) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await writer.append(request("report-1"))
        assert not any(task.done() for task in (first, *waiting))
    await asyncio.gather(first, *waiting)
    assert await read_head(pool) == 6
    await writer.close()


async def test_a_writer_that_closes_records_what_waits_and_refuses_more(
    writer: AppendWriter, database: Database, pool: Pool
) -> None:
    async with appends_held_up(database) as holder:
        waiting = [asyncio.create_task(writer.append(request("report-1"))) for _ in range(300)]
        await blocked_backend(holder)
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0)
        with pytest.raises(LogUnavailable):
            await writer.append(request("report-1"))
    await asyncio.gather(closing, *waiting)
    assert await read_head(pool) == 300


async def test_the_end_of_each_commit_is_told(pool: Pool) -> None:
    told: list[int] = []
    writer = AppendWriter(pool, on_appended=told.append)
    await asyncio.gather(*(writer.append(request("report-1")) for _ in range(50)))
    await writer.close()
    assert max(told) == 50
    with pytest.raises(Conflict):
        await AppendWriter(pool, on_appended=told.append).append(request("report-1", expected="none"))
    assert max(told) == 50
