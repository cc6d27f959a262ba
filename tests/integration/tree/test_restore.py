"""Restore: the signer refuses the fork, `restore` begins an epoch, and readers who are beyond are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from db.pool import Connection, Pool
from events.epochs import EPOCHS_STREAM, begun_by, read_epochs
from events.feed import Feed
from events.reader import LogRewound
from events.tree.heads import head_of
from events.tree.notes import parse_note
from events.tree.store import read_leaves, wait_for_lock
from events.types.log import EpochBegun
from service.tree.folder import TreeFolder
from service.tree.restore import Finding, begin_epoch, examine, known_heads, rebuild_tree
from tests.integration.http.test_schedules_cli import typed
from tests.postgres import Database
from tests.service import serving, settings_for
from tests.tree import append_notes, fill, forge, plant, rewind, root_of_log, sign_all, sign_until, signer_of


async def examined(database: Database, folder: Path, *texts: str) -> Finding:
    connection = await asyncpg.connect(database.service_url)
    try:
        end = await rebuild_tree(connection, lambda done, total: None)
        kept = TreeFolder(folder)
        return await examine(connection, kept, known_heads(kept, texts, print), end)
    finally:
        await connection.close()


async def signed_at(pool: Pool, database: Database, folder: Path, *sizes: int) -> None:
    """Heads of these sizes, of a log that grows to each."""
    for size in sizes:
        await fill(
            database, await pool.fetchval("SELECT coalesce(max(position), 0) + 1 FROM report_builder_audit"), size
        )
        await sign_all(signer_of(pool, folder))


async def test_a_log_that_was_restored_1000_events_back_goes_on_in_a_new_epoch(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await signed_at(pool, database, folder, 500, 1000, 1400, 2000, 2400)
    last = (folder / "last-head").read_text()
    await rewind(database, 1400)
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is not None
    settings = {"DATABASE_URL": database.service_url, "TREE_FOLDER": str(folder), "DATA_DIR": str(tmp_path)}
    result = await typed("restore", **settings)
    assert result.exit_code == 0, result.output
    assert "epoch 2 begins: the log is what was signed up to position 1400" in result.output
    assert "1000 later positions, up to 2400, were signed before" in result.output
    again = await typed("restore", "--skip-results", **settings)
    assert again.exit_code == 0, again.output
    (event,) = (await read_epochs(pool)).begun
    said = begun_by(event)
    assert (event.position, said.epoch, said.proven_size, said.last_head) == (1401, 2, 1400, last)
    assert said.proven_head is not None
    assert head_of(parse_note(said.proven_head)).size == 1400
    await append_notes(pool, 5)
    await sign_all(signer)
    assert signer.refused is None
    assert signer.signed is not None
    assert (signer.signed.epoch, signer.signed.head.origin) == (2, "log.example/epoch-2")
    assert signer.signed.head.size == 1406
    async with pool.acquire() as connection:
        assert signer.signed.head.root == await root_of_log(connection, 1406)
        leaves = await read_leaves(connection, 1399, 3)
    assert [b'"epoch":1,' in leaves[0], b'"epoch":2,' in leaves[1], b'"epoch":2,' in leaves[2]] == [True] * 3
    unchanged = await typed("restore", "--skip-results", **settings)
    assert "has all that was signed: no epoch begins" in unchanged.output
    # A second restore, to before the event that began the epoch: no number is given twice.
    await rewind(database, 1200)
    third = await typed("restore", "--skip-results", **settings)
    assert "epoch 3 begins: the log is what was signed up to position 1000" in third.output
    await sign_all(signer)
    assert signer.signed.head.origin == "log.example/epoch-3"
    assert [(await read_epochs(pool)).at(position) for position in (1200, 1201, 1202)] == [1, 3, 3]


async def test_what_was_recorded_between_the_restore_and_the_epoch_must_be_accepted(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await signed_at(pool, database, folder, 500, 700)
    await rewind(database, 600)
    await append_notes(pool, 300)
    found = await examined(database, folder)
    assert (found.end, found.proven_size, found.differs_by) == (900, 500, 700)
    settings = {"DATABASE_URL": database.service_url, "TREE_FOLDER": str(folder), "DATA_DIR": str(tmp_path)}
    refused = await typed("restore", **settings)
    assert refused.exit_code != 0
    assert "up to position 500, and between 501 and 700 it is not" in refused.output
    assert (await read_epochs(pool)).begun == ()
    accepted = await typed("restore", "--accept-difference", "--skip-results", **settings)
    assert "epoch 2 begins: the log is what was signed up to position 500" in accepted.output


async def test_a_head_that_was_kept_elsewhere_proves_more(pool: Pool, database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    await signed_at(pool, database, folder, 100, 300, 350, 500)
    kept = [row["note"] for row in await pool.fetch("SELECT note FROM tree_heads ORDER BY size")]
    await rewind(database, 400)
    await forge(database, "DELETE FROM tree_heads WHERE size > 100")
    assert (await examined(database, folder)).proven_size == 100
    text = "\n".join(kept)
    assert (await examined(database, folder, text)).proven_size == 350
    assert (await examined(database, folder, text[:-20])).proven_size == 350
    # What the table's owner puts there is no head without the key.
    other = kept[1].replace("log.example", "other.example")
    await forge(database, "INSERT INTO tree_heads (epoch, size, note) VALUES (1, 380, $1)", other)
    assert (await examined(database, folder)).proven_size == 0
    await forge(database, "UPDATE report_builder_audit SET team_id = 'x' WHERE position = 320")
    found = await examined(database, folder, text)
    assert (found.proven_size, found.differs_by) == (300, 350)


async def test_a_folder_that_has_forgotten_the_last_head_is_told_by_a_file(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await signed_at(pool, database, folder, 100, 300)
    kept = tmp_path / "heads"
    kept.write_text((folder / "last-head").read_text())
    await rewind(database, 200)
    (folder / "last-head").unlink()
    settings = {"DATABASE_URL": database.service_url, "TREE_FOLDER": str(folder), "DATA_DIR": str(tmp_path)}
    result = await typed("restore", "--skip-results", "--heads", str(kept), **settings)
    assert "epoch 2 begins: the log is what was signed up to position 100" in result.output, result.output
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is None
    assert signer.signed is not None
    assert signer.signed.order == (2, 201)


async def test_an_epoch_that_was_begun_in_the_table_alone_is_not_signed(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await signed_at(pool, database, folder, 100, 200)
    await rewind(database, 150)
    # Whoever owns the database runs our code with a folder of their own, in which the head is.
    forged = tmp_path / "forged"
    forged.mkdir()
    for name in ("signing-key", "last-head"):
        (forged / name).write_text((folder / name).read_text())
        (forged / name).chmod(0o600)
    found = await examined(database, forged)
    async with pool.acquire() as connection:
        await begin_epoch(connection, TreeFolder(forged), found)
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is not None
    assert "begins epoch 2, and `report-builder restore` has not allowed that" in signer.refused


async def test_an_epoch_that_somebody_else_has_begun_is_not_what_the_restore_allows(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await signed_at(pool, database, folder, 500, 700, 1000)
    last = (folder / "last-head").read_text()
    await rewind(database, 800)
    # It says of no event that it is what was signed: whatever the log is then, the signer would go on from it.
    await plant(pool, EPOCHS_STREAM, EpochBegun(2, 0, None, None, last))
    found = await examined(database, folder)
    assert (found.proven_size, found.epochs.current) == (700, 2)
    async with pool.acquire() as connection:
        said = await begin_epoch(connection, TreeFolder(folder), found)
        assert await begin_epoch(connection, TreeFolder(folder), await examined(database, folder)) == said
    assert (said.epoch, said.proven_size) == (3, 700)
    await forge(database, "UPDATE report_builder_audit SET team_id = 'x' WHERE position = 600")
    await forge(database, "DELETE FROM tree_tiles")
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is not None
    assert "the first 700 events are not those of the head" in signer.refused
    await forge(database, "UPDATE report_builder_audit SET team_id = 'team-1' WHERE position = 600")
    await forge(database, "DELETE FROM tree_tiles")
    # Nor does the event that was allowed say something else by the time that it is signed.
    allowed = await pool.fetchval("SELECT configuration FROM report_builder_audit WHERE position = 802")
    altered = json.dumps(json.loads(allowed) | {"proven_size": 0, "proven_head": None})
    await forge(database, "UPDATE report_builder_audit SET configuration = $1 WHERE position = 802", altered)
    await sign_all(signer)
    assert "has not allowed that" in signer.refused
    await forge(database, "UPDATE report_builder_audit SET configuration = $1 WHERE position = 802", allowed)
    await sign_all(signer)
    assert signer.refused is None
    assert signer.signed is not None
    assert signer.signed.order == (3, 802)


async def test_the_tree_that_another_machine_grows_meanwhile_is_not_made_narrower(
    pool: Pool, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signed_at(pool, database, tmp_path / "tree", 700)
    (tmp_path / "copy").mkdir()
    for name in ("signing-key", "last-head"):
        (tmp_path / "copy" / name).write_text((tmp_path / "tree" / name).read_text())
        (tmp_path / "copy" / name).chmod(0o600)
    other = signer_of(pool, tmp_path / "copy")

    async def late(connection: Connection) -> None:
        await sign_all(other)
        await wait_for_lock(connection)
        await sign_all(other)  # it cannot, now

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("service.tree.restore.wait_for_lock", late)
    monkeypatch.setattr("service.tree.restore.BATCH", 100)
    async with pool.acquire() as connection:
        with pytest.raises(KeyboardInterrupt):
            await rebuild_tree(connection, killed)
    widths = await pool.fetch("SELECT octet_length(hashes) / 32 FROM tree_tiles WHERE level = 0 ORDER BY index")
    assert [width for (width,) in widths] == [256, 256, 188]
    await append_notes(pool, 1)
    await sign_all(other)
    assert other.refused is None
    assert other.signed is not None
    async with pool.acquire() as connection:
        assert other.signed.head.root == await root_of_log(connection, 701)


async def test_readers_beyond_the_end_or_of_another_epoch_are_told(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path)
    async with serving(settings, ("api", "projector", "tree")) as service:
        for count, size in ((40, 40), (20, 60)):
            await append_notes(service.program.pool, count)
            await sign_until(service.program.pool, size)
        page = (await service.send("GET", "/api/events?after=0")).json
        assert page["epoch"] == 1
        ended = page["next_after"]
        beyond = await service.send("GET", "/api/events?after=61")
        assert (beyond.status, beyond.json["code"], beyond.json["head"]) == (409, "log_rewound", 60)
        assert (await service.send("GET", f"/api/events?after={ended}&epoch=1")).status == 200
    await rewind(database, 40)
    await forge(database, "UPDATE projection_checkpoints SET position = least(position, 40)")
    result = await typed(
        "restore", "--skip-results", DATABASE_URL=database.service_url, DATA_DIR=str(settings.data_dir)
    )
    assert result.exit_code == 0, result.output
    async with serving(settings, ("api", "projector", "tree")) as service:
        page = (await service.send("GET", "/api/events?after=0")).json
        assert page["epoch"] == 2
        for path in ("/api/events", "/api/events/stream"):
            told = await service.send("GET", f"{path}?after=30&epoch=1")
            assert (told.status, told.json["code"], told.json["epoch"], told.json["kept"]) == (
                409,
                "log_rewound",
                2,
                40,
            )
            assert "after=30&epoch=2" in told.json["detail"]
            assert (await service.send("GET", f"{path}?after=55")).status == 409
        told = await service.send("GET", "/api/events/stream", **{"Last-Event-ID": "60"})
        assert told.json["kept"] == 40
        assert (await service.send("GET", "/api/events?after=40&epoch=2")).status == 200
        log = (await service.send("GET", "/api/audit/log")).json
        assert (log["epoch"], log["epochs"][0]["proven_size"], log["epochs"][0]["position"]) == (2, 40, 41)


async def test_a_process_that_has_seen_more_than_the_log_has_ends(
    pool: Pool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.feed.POLL_INTERVAL", 0.05)
    await fill(database, 1, 50)
    feed = Feed(pool)
    await feed.start()
    await rewind(database, 40)
    with pytest.raises(ExceptionGroup) as raised:
        await feed.run()
    assert raised.group_contains(LogRewound)


async def test_a_log_that_has_grown_again_beyond_what_a_busy_process_has_seen_ends_it(
    pool: Pool, database: Database
) -> None:
    await fill(database, 1, 50)
    feed = Feed(pool)
    await feed.start()
    running = asyncio.create_task(feed.run())
    await fill(database, 51, 51)
    feed.appended(51)
    assert await feed.wait_beyond(50, 30)
    await rewind(database, 40)
    await append_notes(pool, 20)
    feed.appended(60)
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(running, 30)
    assert raised.group_contains(LogRewound)
    assert feed.head == 51
