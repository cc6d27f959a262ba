"""One append: what it answers for each request, and the order that it gives to the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.pool import Pool
from events.append import Appended, AppendRequest, Conflict, Expected, HalfKnown, IdempotencyKey, KeyReused, Write
from events.envelope import Metadata, new_id
from events.reader import LogDamaged, read_after, read_head, read_stream
from events.types.report import ReportCreated
from tests.postgres import Database, Server
from tests.recording import append, last_position, note, request


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database.service_url)
    yield connection
    await connection.close()


async def test_what_was_appended_is_read_back_as_it_was(connection: asyncpg.Connection[Any]) -> None:
    event = note(
        data=ReportCreated('Größe "x" \\u0041'),
        user_id=new_id(),
        workflow_id="w1",
        step_completed="review",
        metadata=Metadata(correlation_id="c"),
    )
    (verdict,) = await append(connection, request("report-1", event))
    assert verdict == Appended(1, 1, (1,))
    (read,) = await read_after(connection, 0, 10)
    assert (read.position, read.stream, read.stream_version, read.event_type) == (
        1,
        "report-1",
        1,
        "report.created",
    )
    assert (read.id, read.team_id, read.user_id) == (event.id, event.team_id, event.user_id)
    assert (read.workflow_id, read.step_completed) == ("w1", "review")
    assert read.configuration == '{"name":"Größe \\"x\\" \\\\u0041"}'
    assert read.metadata == '{"correlation_id":"c"}'
    assert read.data == event.data
    assert await read_stream(connection, "report-1") == [read]
    assert await read_stream(connection, "report-2") == []


async def test_an_append_holds_where_its_expected_version_does(connection: asyncpg.Connection[Any]) -> None:
    cases: list[tuple[int, Expected, bool]] = [
        (0, "any", True),
        (2, "any", True),
        (0, "none", True),
        (2, "none", False),
        (0, 0, True),
        (2, 2, True),
        (2, 1, False),
        (2, 3, False),
        (0, 1, False),
    ]
    for number, (there, expected, appended) in enumerate(cases):
        stream = f"report-{number}"
        if there:
            await append(connection, request(stream, *(note() for _ in range(there))))
        head = await read_head(connection)
        (verdict,) = await append(connection, request(stream, note(), note(), expected=expected))
        if appended:
            assert verdict == Appended(head + 1, head + 2, (there + 2,)), (there, expected)
        else:
            assert isinstance(verdict, Conflict), (there, expected)
            assert verdict.actual == {stream: there}
        assert await read_head(connection) == head + 2 * appended


async def test_several_streams_are_written_together_or_not_at_all(connection: asyncpg.Connection[Any]) -> None:
    await append(connection, request("team-1", note(), note()))
    both = (Write("report-1", "none", (note(), note())), Write("team-1", 1, (note(),)))
    (conflict,) = await append(connection, AppendRequest(both))
    assert isinstance(conflict, Conflict)
    assert conflict.actual == {"report-1": 0, "team-1": 2}
    assert await read_head(connection) == 2
    both = (Write("report-1", "none", (note(), note())), Write("team-1", 2, (note(),)))
    (appended,) = await append(connection, AppendRequest(both))
    assert appended == Appended(3, 5, (2, 3))
    streams = [(event.stream, event.stream_version) for event in await read_after(connection, 2, 10)]
    assert streams == [("report-1", 1), ("report-1", 2), ("team-1", 3)]


async def test_a_batch_answers_each_request_for_itself(connection: asyncpg.Connection[Any]) -> None:
    first = request("report-1", expected="none")
    await append(connection, first)
    known, fresh = first.writes[0].events[0], note()
    verdicts = await append(
        connection,
        request("report-1", expected=1),
        first,
        request("report-1", expected=1),
        request("report-2", known, fresh),
        request("report-1", expected=2),
        request("report-2", expected="none"),
    )
    assert verdicts[0] == Appended(2, 2, (2,))
    assert verdicts[1] == Appended(1, 1, (1,), duplicate=True)
    assert isinstance(verdicts[2], Conflict)
    assert verdicts[2].actual == {"report-1": 2}
    assert isinstance(verdicts[3], HalfKnown)
    assert verdicts[4] == Appended(3, 3, (3,))
    assert verdicts[5] == Appended(4, 4, (1,))
    assert [event.position for event in await read_after(connection, 0, 10)] == [1, 2, 3, 4]


async def test_the_same_request_again_gives_its_first_positions(connection: asyncpg.Connection[Any]) -> None:
    sent = AppendRequest((Write("report-1", "none", (note(), note())), Write("team-1", 0, (note(),))))
    assert await append(connection, sent) == [Appended(1, 3, (2, 1))]
    await append(connection, request("report-1"), request("team-1"))
    assert await append(connection, sent) == [Appended(1, 3, (2, 1), duplicate=True)]
    assert await read_head(connection) == 5


async def test_a_request_that_was_changed_since_it_was_first_sent_is_refused(
    connection: asyncpg.Connection[Any],
) -> None:
    kept = note()
    await append(connection, request("report-1", kept))
    (verdict,) = await append(connection, request("report-1", kept, note()))
    assert isinstance(verdict, HalfKnown)
    assert await read_head(connection) == 1


async def test_an_idempotency_key_gives_the_first_answer_to_the_same_content_alone(
    connection: asyncpg.Connection[Any],
) -> None:
    key = IdempotencyKey("team-1 POST /api/reports k1", b"digest", 201, '{"id": 1.50}')
    (first,) = await append(connection, request("report-1", note(), note(), expected="none", key=key))
    assert first == Appended(1, 2, (2,))
    await append(connection, request("report-1"))
    # Other events, other ids: the key and the digest decide, and the answer is the first one, byte for byte.
    (again,) = await append(
        connection,
        request("report-1", expected="none", key=IdempotencyKey(key.key, key.digest, 500, "{}")),
    )
    assert again == Appended(1, 2, (2,), duplicate=True, status=201, answer='{"id": 1.50}')
    (reused,) = await append(connection, request("report-1", key=IdempotencyKey(key.key, b"other", 201, "{}")))
    assert isinstance(reused, KeyReused)
    (other,) = await append(connection, request("report-2", key=IdempotencyKey("k2", b"other", 201, "{}")))
    assert other == Appended(4, 4, (1,))
    assert await read_head(connection) == 4


async def test_a_key_is_free_again_where_its_request_was_not_recorded(connection: asyncpg.Connection[Any]) -> None:
    key = IdempotencyKey("k", b"digest", 201, "{}")
    (conflict,) = await append(connection, request("report-1", expected=7, key=key))
    assert isinstance(conflict, Conflict)
    (appended,) = await append(connection, request("report-1", expected=0, key=key))
    assert appended == Appended(1, 1, (1,))


async def test_the_next_append_waits_for_one_that_is_not_committed_so_that_no_reader_sees_a_gap(
    database: Database, connection: asyncpg.Connection[Any], pool: Pool
) -> None:
    first = await asyncpg.connect(database.service_url)
    transaction = first.transaction()
    await transaction.start()
    assert await append(first, request("report-1")) == [Appended(1, 1, (1,))]

    second = asyncio.create_task(append(connection, request("report-2")))
    await waits_for_a_lock(pool, connection)
    assert await read_head(pool) == 0

    await transaction.commit()
    assert await second == [Appended(2, 2, (1,))]
    assert [event.position for event in await read_after(pool, 0, 10)] == [1, 2]
    await first.close()


async def test_a_position_of_a_rolled_back_append_is_given_to_the_next(
    database: Database, connection: asyncpg.Connection[Any], pool: Pool
) -> None:
    first = await asyncpg.connect(database.service_url)
    transaction = first.transaction()
    await transaction.start()
    await append(first, request("report-1", note(), note()))
    second = asyncio.create_task(append(connection, request("report-1", expected="none")))
    await waits_for_a_lock(pool, connection)
    await transaction.rollback()
    assert await second == [Appended(1, 1, (1,))]
    await first.close()


async def waits_for_a_lock(pool: Pool, connection: asyncpg.Connection[Any]) -> None:
    pid = connection.get_server_pid()
    async with asyncio.timeout(5):
        while not await pool.fetchval("SELECT cardinality(pg_blocking_pids($1))", pid):
            await asyncio.sleep(0.01)


async def test_the_time_of_recording_never_goes_back(database: Database, connection: asyncpg.Connection[Any]) -> None:
    await append(connection, request("report-1"))
    owner = await asyncpg.connect(database.admin_url)
    ahead = await owner.fetchval(
        "INSERT INTO report_builder_audit SELECT 2, gen_random_uuid(), stream, 2, event_type, schema_version,"
        " team_id, user_id, workflow_id, step_completed, configuration, metadata, recorded_at + interval '1 hour'"
        " FROM report_builder_audit RETURNING recorded_at"
    )
    await append(connection, request("report-1"), request("report-1"))
    await append(connection, request("report-1"))
    times = [event.recorded_at for event in await read_after(connection, 0, 10)]
    assert times[0] < ahead
    assert times[1:] == [ahead] * 4
    assert ahead.utcoffset().total_seconds() == 0
    await owner.close()


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_an_isolation_that_would_keep_an_old_snapshot_is_refused(
    connection: asyncpg.Connection[Any], isolation: Any
) -> None:
    with pytest.raises(asyncpg.InvalidTransactionStateError, match="append_events needs READ COMMITTED"):
        async with connection.transaction(isolation=isolation):
            await append(connection, request("report-1"))
    assert await read_head(connection) == 0


async def test_readers_do_not_hold_an_append_up(connection: asyncpg.Connection[Any], pool: Pool) -> None:
    await append(connection, request("report-1"))
    async with pool.acquire() as reader, reader.transaction(isolation="repeatable_read"):
        assert await read_head(reader) == 1
        async with asyncio.timeout(5):
            assert last_position(await append(connection, request("report-1"))) == 2
        assert await read_head(reader) == 1


async def test_a_reader_stops_at_an_event_that_was_removed(
    database: Database, connection: asyncpg.Connection[Any]
) -> None:
    await append(connection, request("report-1", *(note() for _ in range(5))))
    vandal = await asyncpg.connect(database.admin_url)
    await vandal.execute("ALTER TABLE report_builder_audit DISABLE TRIGGER ALL")
    await vandal.execute("DELETE FROM report_builder_audit WHERE position = 3")
    await vandal.close()
    assert [event.position for event in await read_after(connection, 0, 2)] == [1, 2]
    assert [event.position for event in await read_after(connection, 3, 10)] == [4, 5]
    for after in (0, 2):
        with pytest.raises(LogDamaged, match="position 3 is missing from the log; the next one is 4"):
            await read_after(connection, after, 10)


def _any_request(chance: random.Random, sent: list[AppendRequest]) -> AppendRequest:
    """One of the kinds that come: a single event most often, else several streams, and now and then one that came
    before, with its ids or with its key alone."""
    streams = chance.sample([f"report-{number}" for number in range(6)], chance.choice([1, 1, 1, 2, 3]))
    expected: list[Expected] = ["any", "any", "any", "none", 1, 2, 5]
    writes = tuple(
        Write(stream, chance.choice(expected), tuple(note() for _ in range(chance.choice([1, 1, 1, 2, 3]))))
        for stream in streams
    )
    key = IdempotencyKey(f"k{chance.randrange(12)}", b"digest", 201, "{}") if chance.random() < 0.2 else None
    return chance.choice(sent) if sent and chance.random() < 0.1 else AppendRequest(writes, key)


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_is_answered_as_if_its_requests_had_come_one_by_one(postgres_server: Server, seed: int) -> None:
    chance = random.Random(seed)
    together, alone = [], []
    async with postgres_server.fresh_database() as one, postgres_server.fresh_database() as other:
        connections = [await asyncpg.connect(database.service_url) for database in (one, other)]
        sent: list[AppendRequest] = []
        for _ in range(60):
            batch: list[AppendRequest] = []
            marks: set[object] = set()
            for _ in range(chance.choice([1, 1, 2, 5, 12])):
                following = _any_request(chance, sent)
                # The writer never has the same event or key twice in one batch.
                its = {following.key.key if following.key else None, following.writes[0].events[0].id} - {None}
                if marks.isdisjoint(its):
                    marks |= its
                    batch.append(following)
            together += await append(connections[0], *batch)
            for each in batch:
                alone += await append(connections[1], each)
            sent += batch
        kinds = {type(verdict) for verdict in together}
        assert list(map(_told, together)) == list(map(_told, alone))
        assert await _log(connections[0]) == await _log(connections[1])
        for connection in connections:
            await connection.close()
    assert kinds == {Appended, Conflict}, "each kind has come"


def _told(verdict: object) -> object:
    return (type(verdict), verdict.actual) if isinstance(verdict, Conflict) else verdict


async def _log(connection: asyncpg.Connection[Any]) -> list[tuple[object, ...]]:
    rows = await connection.fetch("SELECT * FROM report_builder_audit ORDER BY position")
    return [tuple(value for name, value in row.items() if name != "recorded_at") for row in rows]
