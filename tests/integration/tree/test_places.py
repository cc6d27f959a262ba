"""Every head arrives at every place, once at least and in order, also where the place was away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import aio_pika
import msgspec
import obstore
import pytest
from obstore.store import MemoryStore

from db.pool import Pool
from events.tree.heads import head_of
from events.tree.notes import parse_note
from service.settings import SettingsError
from service.tree.amqp_place import AmqpPlace
from service.tree.folder import SignedHead
from service.tree.places import HeadCarrier, HeadsAltered, places_of
from service.tree.s3_place import S3Place
from tests.postgres import Database
from tests.rabbitmq import shared_url
from tests.s3 import S3Server
from tests.service import settings_for
from tests.tree import append_notes, forge, sign_all, signer_of


async def three_heads(pool: Pool, folder: Path) -> None:
    signer = signer_of(pool, folder)
    for _ in range(3):
        await append_notes(pool, 2)
        await sign_all(signer)


class Uncertain:
    """A place that keeps what it is given, and then fails as often as it is told to."""

    kind, name = "file", "uncertain"

    def __init__(self, failures: int) -> None:
        self.sizes: list[int] = []
        self._failures = failures

    async def take(self, heads: Sequence[SignedHead]) -> None:
        self.sizes += [each.head.size for each in heads]
        if self._failures:
            self._failures -= 1
            raise OSError("the disk is full")

    async def close(self) -> None:
        pass


async def test_what_may_not_have_arrived_is_taken_there_again(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.tree.places.PAUSE", 0.01)
    await three_heads(pool, tmp_path / "tree")
    place = Uncertain(failures=1)
    carrier = HeadCarrier(pool, place, tmp_path / "tree")
    task = asyncio.create_task(carrier.run())
    async with asyncio.timeout(20):
        while len(place.sizes) < 6 or carrier.problem:
            await asyncio.sleep(0.01)
        await append_notes(pool, 1)
        await sign_all(signer_of(pool, tmp_path / "tree"))
        while len(place.sizes) < 7:
            await asyncio.sleep(0.01)
    task.cancel()
    assert place.sizes == [2, 4, 6, 2, 4, 6, 7]
    # Another process cannot know that the last one is there: the table says so, which is not believed.
    another = HeadCarrier(pool, place, tmp_path / "tree")
    for _ in range(2):
        assert not await another.carry()
    assert place.sizes[7:] == [7]


async def test_a_table_that_says_that_all_was_taken_keeps_no_head_back(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder, place = tmp_path / "tree", Uncertain(failures=0)
    await three_heads(pool, folder)
    carrier = HeadCarrier(pool, place, folder)
    await carrier.carry()
    for said, complaint in (
        ("size = 1000000000", True),
        ("epoch = 2, size = 0", True),
        ("epoch = 1, size = 12", False),
    ):
        await forge(database, f"UPDATE tree_pushes SET {said}")
        await append_notes(pool, 2)
        await sign_all(signer_of(pool, folder))
        for _ in range(2):
            if complaint:
                with pytest.raises(HeadsAltered, match="none so late was signed"):
                    await carrier.carry()
            else:
                await carrier.carry()
    assert place.sizes == [2, 4, 6, 8, 10, 12]
    await forge(database, "DELETE FROM tree_heads WHERE size > 6")
    await append_notes(pool, 2)
    await sign_all(signer_of(pool, folder))
    await forge(database, "DELETE FROM tree_heads WHERE size > 6")
    await carrier.carry()
    assert place.sizes[6:] == [14]
    # Nor does who holds on to the table's row.
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM tree_pushes FOR UPDATE")
        await append_notes(pool, 2)
        await sign_all(signer_of(pool, folder))
        await carrier.carry()
    assert place.sizes[7:] == [16]


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE tree_heads SET note = replace(note, E'\n4\n', E'\n5\n') WHERE size = 4",
        "UPDATE tree_heads SET note = 'no head' WHERE size = 4",
        "UPDATE tree_heads SET note = (SELECT note FROM tree_heads WHERE size = 2) WHERE size = 4",
    ],
)
async def test_what_was_not_signed_is_not_taken_anywhere_and_the_last_head_is(
    pool: Pool, database: Database, tmp_path: Path, forgery: str
) -> None:
    folder, place = tmp_path / "tree", Uncertain(failures=0)
    await three_heads(pool, folder)
    signed = await pool.fetchval("SELECT note FROM tree_heads WHERE size = 4")
    await forge(database, forgery)
    carrier = HeadCarrier(pool, place, folder)
    for _ in range(2):
        with pytest.raises(HeadsAltered, match="the head of 4 events in epoch 1 in the table tree_heads is not"):
            await carrier.carry()
    assert place.sizes == [2, 6]
    await append_notes(pool, 2)
    await sign_all(signer_of(pool, folder))
    with pytest.raises(HeadsAltered):
        await carrier.carry()
    assert place.sizes == [2, 6, 8]
    await forge(database, "UPDATE tree_heads SET note = $1 WHERE size = 4", signed)
    assert not await carrier.carry()
    assert place.sizes == [2, 6, 8, 4, 6, 8]


async def test_a_head_that_the_table_has_an_instant_later_is_taken_once(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder, place = tmp_path / "tree", Uncertain(failures=0)
    await three_heads(pool, folder)
    row = await pool.fetchrow("SELECT * FROM tree_heads WHERE size = 6")
    await forge(database, "DELETE FROM tree_heads WHERE size = 6")
    carrier = HeadCarrier(pool, place, folder)
    await carrier.carry()
    assert row is not None
    await forge(database, "INSERT INTO tree_heads VALUES ($1, $2, $3, $4)", *row)
    for _ in range(2):
        assert not await carrier.carry()
    assert place.sizes == [2, 4, 6]


async def test_an_object_that_is_there_is_not_written_over(pool: Pool, database: Database, tmp_path: Path) -> None:
    await three_heads(pool, tmp_path / "tree")
    settings = msgspec.structs.replace(
        settings_for(database, tmp_path), tree_heads_url="s3://bucket", results_s3_region="us-east-1"
    )
    place = S3Place(settings)
    bucket = MemoryStore()  # the server of the other tests does not know `If-None-Match`
    place._bucket = bucket  # type: ignore[assignment]
    carrier = HeadCarrier(pool, place, tmp_path / "tree")
    await obstore.put_async(bucket, f"epoch-1/{4:020}", b"another head")
    for _ in range(2):
        with pytest.raises(HeadsAltered, match=f"epoch-1/{4:020} is in the bucket, and is not the head"):
            await carrier.carry()
    assert bytes(obstore.get(bucket, f"epoch-1/{4:020}").bytes()) == b"another head"
    assert bytes(obstore.get(bucket, f"epoch-1/{6:020}").bytes()).decode() == (tmp_path / "tree/last-head").read_text()
    await obstore.delete_async(bucket, f"epoch-1/{4:020}")
    assert not await carrier.carry()


async def test_heads_are_objects_of_a_bucket(pool: Pool, database: Database, tmp_path: Path) -> None:
    await three_heads(pool, tmp_path / "tree")
    s3 = S3Server(tmp_path / "s3")
    try:
        settings = msgspec.structs.replace(
            settings_for(database, tmp_path), **s3.settings(), tree_heads_url="s3://results/the/heads"
        )
        await HeadCarrier(pool, S3Place(settings), tmp_path / "tree").carry()
    finally:
        s3.stop()
    files = sorted(s3.object("the/heads/epoch-1").iterdir())
    assert [file.name for file in files] == [f"{size:020}" for size in (2, 4, 6)]
    notes = [row["note"] for row in await pool.fetch("SELECT note FROM tree_heads ORDER BY size")]
    assert [file.read_text() for file in files] == notes


@pytest.mark.rabbitmq
async def test_heads_are_messages_of_a_stream(pool: Pool, database: Database, tmp_path: Path) -> None:
    await three_heads(pool, tmp_path / "tree")
    prefix = f"tree-{token_hex(4)}"
    settings = msgspec.structs.replace(settings_for(database, tmp_path), amqp_url=shared_url(), amqp_prefix=prefix)
    place = AmqpPlace(settings)
    connection = await aio_pika.connect(shared_url())
    try:
        await HeadCarrier(pool, place, tmp_path / "tree").carry()
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)
        queue = await channel.get_queue(place.queue)
        sizes: list[int] = []
        async with asyncio.timeout(20), queue.iterator(arguments={"x-stream-offset": "first"}) as messages:
            async for message in messages:
                await message.ack()
                head = head_of(parse_note(message.body.decode()))
                assert (message.headers["size"], message.message_id) == (head.size, f"1-{head.size}")
                sizes.append(head.size)
                if len(sizes) == 3:
                    break
        assert sizes == [2, 4, 6]
        await channel.queue_delete(place.queue)
        await channel.exchange_delete(place.queue)
    finally:
        await place.close()
        await connection.close()


def test_the_settings_name_the_places(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path)
    assert [place.kind for place in places_of(settings)] == ["log"]
    everything = msgspec.structs.replace(
        settings, tree_heads_file=tmp_path / "heads", tree_heads_url="s3://bucket", amqp_url="amqp://127.0.0.1:1/",
        results_s3_region="us-east-1",
    )  # fmt: skip
    assert [place.kind for place in places_of(everything)] == ["log", "file", "s3", "amqp"]
    nothing = msgspec.structs.replace(everything, tree_heads_log=False, tree_heads_file=None, tree_heads_url=None,
                                      tree_heads_amqp=False)  # fmt: skip
    assert places_of(nothing) == []
    with pytest.raises(SettingsError, match="REPORT_BUILDER_TREE_HEADS_URL"):
        places_of(msgspec.structs.replace(settings, tree_heads_url="https://bucket"))
