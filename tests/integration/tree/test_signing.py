"""The signer over a real database: what it signs, what it refuses, and that a crash between two lines makes no fork."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest

from db.pool import Pool, open_pool
from events.reader import read_after
from events.tree.heads import head_of
from events.tree.leaf import leaf_of
from events.tree.notes import Note, SigningKey, VerifierKey, parse_note
from events.tree.store import forget_tiles, read_leaves
from events.types.log import KeyRotated
from service.tree.folder import FolderBusy, FolderUnfit, TreeFolder
from service.tree.keys import KEYS_STREAM, rotate
from tests.integration.http.test_schedules_cli import typed
from tests.postgres import Database
from tests.tree import append_notes, fill, forge, plant, rewind, root_of_log, sign_all, signer_of


def public_key(folder: Path) -> VerifierKey:
    key = TreeFolder(folder).signing_key()
    assert key is not None
    return key.verifier


async def heads(pool: Pool) -> list[Note]:
    return [parse_note(row["note"]) for row in await pool.fetch("SELECT note FROM tree_heads ORDER BY epoch, size")]


async def test_a_leaf_is_the_same_from_the_tables_row_and_from_the_event(pool: Pool, database: Database) -> None:
    await fill(database, 1, 50)
    async with pool.acquire() as connection:
        leaves = await read_leaves(connection, 0, 100)
    assert leaves == [leaf_of(event, 1) for event in await read_after(pool, 0, 100)]


async def test_the_tree_grows_with_the_log_and_each_head_is_signed_once(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    signer = signer_of(pool, tmp_path / "tree")
    assert not await signer.round()
    assert (signer.refused, signer.signed, await heads(pool)) == (None, None, [])
    for last in (1, 255, 256, 700):
        await fill(
            database, await pool.fetchval("SELECT coalesce(max(position), 0) + 1 FROM report_builder_audit"), last
        )
        await sign_all(signer)
        await sign_all(signer)
    key = TreeFolder(tmp_path / "tree").signing_key()
    assert key is not None
    notes = await heads(pool)
    assert [head_of(note).size for note in notes] == [1, 255, 256, 700]
    async with pool.acquire() as connection:
        for note in notes:
            head = head_of(note)
            assert note.verified([key.verifier]) == [key.verifier]
            assert (head.origin, head.root) == ("log.example", await root_of_log(connection, head.size))
    assert await pool.fetchval("SELECT key FROM tree_keys") == key.verifier.text
    # Another process goes on where this one ended.
    await append_notes(pool, 3)
    again = signer_of(pool, tmp_path / "tree", None)
    await sign_all(again)
    assert again.signed is not None
    assert again.signed.head.size == 703


async def test_tiles_that_are_deleted_grow_again_to_the_same_tree(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    await fill(database, 1, 6000)
    signer = signer_of(pool, tmp_path / "tree")
    await sign_all(signer)
    tiles = await pool.fetch("SELECT * FROM tree_tiles ORDER BY level, index")
    async with pool.acquire() as connection:
        await forget_tiles(connection)
    await append_notes(pool, 1)
    await sign_all(signer)
    assert signer.refused is None
    assert signer.signed is not None
    assert signer.signed.head.size == 6001
    # The last tile of the leaves loses some of them.
    await forge(database, "UPDATE tree_tiles SET hashes = substr(hashes, 1, 320) WHERE level = 0 AND index = 23")
    await sign_all(signer)
    assert signer.refused is None
    assert (await pool.fetch("SELECT * FROM tree_tiles ORDER BY level, index"))[:20] == tiles[:20]


async def refuses(signer_folder: Path, pool: Pool, reason: str) -> None:
    signer = signer_of(pool, signer_folder)
    before = (signer_folder / "last-head").read_text()
    await sign_all(signer)
    assert signer.refused is not None
    assert reason in signer.refused
    assert (signer_folder / "last-head").read_text() == before


async def test_a_log_that_was_rewound_is_not_signed_not_even_once_it_is_as_long_again(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    await fill(database, 1, 500)
    await sign_all(signer_of(pool, tmp_path / "tree"))
    await rewind(database, 400)
    await refuses(tmp_path / "tree", pool, "the log ends at position 400, and a head of 500 events was signed")
    await append_notes(pool, 200)
    await refuses(tmp_path / "tree", pool, "the first 500 events are not those of the head")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DELETE FROM report_builder_audit WHERE position > 490", "the log ends at position 490"),
        ("DELETE FROM report_builder_audit WHERE position = 500", "the log ends at position 499"),
        (
            "UPDATE report_builder_audit SET configuration = '{}' WHERE position = 500",
            "the event at position 500 is not",
        ),
        ("UPDATE tree_tiles SET hashes = set_byte(hashes, 40, 7) WHERE level = 0 AND index = 1", "first 500 events"),
        ("UPDATE tree_tiles SET hashes = set_byte(hashes, 0, 7) WHERE level = 1", "first 500 events"),
        ("DELETE FROM tree_tiles WHERE level = 1", "tile 1/000 is missing"),
    ],
)
async def test_what_was_altered_at_the_end_of_what_is_signed_is_not_signed_again(
    pool: Pool, database: Database, tmp_path: Path, sql: str, reason: str
) -> None:
    await fill(database, 1, 500)
    await sign_all(signer_of(pool, tmp_path / "tree"))
    await forge(database, sql)
    await refuses(tmp_path / "tree", pool, reason)


async def test_another_folder_with_a_key_of_its_own_signs_nothing(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    await fill(database, 1, 5)
    await sign_all(signer_of(pool, tmp_path / "tree"))
    await append_notes(pool, 1)
    other = signer_of(pool, tmp_path / "other", None)
    await sign_all(other)
    assert other.refused is not None
    assert "signed by log.example, with a key that is not in" in other.refused
    renamed = signer_of(pool, tmp_path / "tree", "another.example")
    await sign_all(renamed)
    assert renamed.refused is not None
    assert "a log keeps its name for ever" in renamed.refused
    (tmp_path / "tree" / "signing-key").chmod(0o644)
    await refuses(tmp_path / "tree", pool, "others may read it")


async def test_of_many_signers_at_once_no_two_sign_differently(database: Database, tmp_path: Path) -> None:
    pools = [await open_pool(database.service_url, size=3) for _ in range(3)]
    try:
        signers = [signer_of(pool, tmp_path / "tree") for pool in pools]
        for _ in range(15):
            await append_notes(pools[0], 7)
            await asyncio.gather(*(signer.round() for signer in signers))
        await sign_all(signers[0])
        assert [signer.refused for signer in signers] == [None] * 3
        async with pools[0].acquire() as connection:
            for note in await heads(pools[0]):
                assert head_of(note).root == await root_of_log(connection, head_of(note).size)
    finally:
        for pool in pools:
            await pool.close()


class Crash(BaseException):
    """The process is gone: nothing after this line is done."""


@pytest.mark.parametrize("line", ["keep_head", "promote_next_key", "insert_head", "commit"])
async def test_a_crash_at_any_line_of_a_round_leads_to_the_same_heads(
    pool: Pool, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    folder = tmp_path / "tree"
    await fill(database, 1, 300)
    await sign_all(signer_of(pool, folder))
    async with pool.acquire() as connection:
        said = await rotate(connection, TreeFolder(folder), lost=None)
        assert await rotate(connection, TreeFolder(folder), lost=None) == said
    await append_notes(pool, 10)

    def crash(*_: object, **__: object) -> None:
        raise Crash

    for after in (False, True):
        with monkeypatch.context() as patched:
            if line == "insert_head":
                patched.setattr("service.tree.signer.insert_head", crash)
            elif line == "commit":
                patched.setattr("asyncpg.transaction.Transaction._Transaction__commit", crash)
            else:
                whole = getattr(TreeFolder, line)

                def first(*arguments: object, whole: object = whole, after: bool = after) -> None:
                    if after:
                        whole(*arguments)  # type: ignore[operator]
                    raise Crash

                patched.setattr(TreeFolder, line, first)
            with pytest.raises(Crash):
                await sign_all(signer_of(pool, folder))
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is None
    notes = await heads(pool)
    assert [head_of(note).size for note in notes] == [300, 311]
    keys = TreeFolder(folder).verifier_keys()
    assert [key.text for key in keys] == [said.key, said.previous]
    assert [len(note.verified(keys)) for note in notes] == [1, 2]
    assert (folder / "last-head").read_text() == str(notes[-1])
    await append_notes(pool, 1)
    await sign_all(signer)
    assert [key.text for key in (await heads(pool))[-1].verified(keys)] == [said.key]


async def test_a_head_that_was_kept_and_never_shown_is_shown_when_the_log_has_grown(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    await fill(database, 1, 10)
    await sign_all(signer_of(pool, tmp_path / "tree"))
    await forge(database, "DELETE FROM tree_heads")  # the process died in front of its commit
    await append_notes(pool, 3)
    await sign_all(signer_of(pool, tmp_path / "tree"))
    assert [head_of(note).size for note in await heads(pool)] == [10, 13]


async def test_a_round_that_is_cancelled_has_the_folder_until_its_head_is_kept(
    pool: Pool, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TreeFolder(tmp_path / "tree")
    await fill(database, 1, 10)
    keeps, may_go_on, keep = threading.Event(), threading.Event(), TreeFolder.keep_head

    def slow(folder: TreeFolder, note: Note) -> None:
        keeps.set()
        may_go_on.wait(20)
        keep(folder, note)

    monkeypatch.setattr(TreeFolder, "keep_head", slow)
    round = asyncio.create_task(signer_of(pool, tmp_path / "tree").round())
    await asyncio.to_thread(keeps.wait, 20)
    round.cancel()
    await asyncio.sleep(0.1)
    with pytest.raises(FolderBusy), folder.locked():
        pass
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await round
    with folder.locked():
        assert folder.last_head() is not None


async def test_a_lost_key_is_replaced_by_one_that_vouches_for_itself_alone(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await fill(database, 1, 10)
    await sign_all(signer_of(pool, folder))
    old = public_key(folder)
    (folder / "signing-key").unlink()
    await append_notes(pool, 1)
    await refuses(folder, pool, "is not")
    # Which key it was, the table's owner does not decide.
    other = SigningKey.generate("log.example").verifier
    await pool.execute("INSERT INTO tree_keys (key, first_used) VALUES ($1, '2100-01-01')", other.text)
    async with pool.acquire() as connection:
        with pytest.raises(FolderUnfit, match="is not the key that was lost"):
            await rotate(connection, TreeFolder(folder), lost=other)
        assert TreeFolder(folder).verifier_keys() == []
        said = await rotate(connection, TreeFolder(folder), lost=old)
    assert (said.lost, said.previous) == (True, old.text)
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is None
    assert [key.text for key in TreeFolder(folder).verifier_keys()] == [said.key, old.text]
    last = (await heads(pool))[-1]
    assert (head_of(last).size, [key.text for key in last.verified(TreeFolder(folder).verifier_keys())]) == (
        12,
        [said.key],
    )


async def test_the_command_line_wants_to_be_told_which_key_was_lost(
    pool: Pool, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    await fill(database, 1, 10)
    await sign_all(signer_of(pool, folder))
    old = public_key(folder)
    settings = {"DATABASE_URL": database.service_url, "TREE_FOLDER": str(tmp_path / "new"), "DATA_DIR": str(tmp_path)}
    refused = await typed("audit", "key", "rotate", "--lost", "old", **settings)
    assert refused.exit_code == 2
    assert "'old' is no public key" in refused.output
    rotated = await typed("audit", "key", "rotate", "--lost", old.text, **settings)
    assert rotated.exit_code == 0, rotated.output
    signer = signer_of(pool, tmp_path / "new")
    await sign_all(signer)
    assert signer.refused is None
    assert signer.signed is not None
    assert signer.signed.note.verified([public_key(tmp_path / "new")])


@pytest.mark.parametrize("back", [True, False])
async def test_a_key_that_somebody_else_has_put_into_the_log_is_never_signed(
    pool: Pool, database: Database, tmp_path: Path, back: bool
) -> None:
    folder = tmp_path / "tree"
    await fill(database, 1, 10)
    await sign_all(signer_of(pool, folder))
    own, evil = public_key(folder).text, SigningKey.generate("log.example").verifier.text
    there_and_back = (KeyRotated(evil, own), KeyRotated(own, evil))
    await plant(pool, KEYS_STREAM, *there_and_back[: 2 if back else 1])
    reason = f"the event at position 11 names the key {re.escape(evil)}, which was not made in"
    signer = signer_of(pool, folder)
    await sign_all(signer)
    assert signer.refused is not None
    assert re.match(reason, signer.refused)
    # Nor is it by the head that two keys sign.
    async with pool.acquire() as connection:
        with pytest.raises(FolderUnfit, match=reason):
            await rotate(connection, TreeFolder(folder), lost=None)
    await sign_all(signer)
    assert signer.signed is None
    assert [head_of(note).size for note in await heads(pool)] == [10]


async def test_a_key_is_changed_as_often_as_one_likes(pool: Pool, database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    await fill(database, 1, 10)
    signer = signer_of(pool, folder)
    await sign_all(signer)
    for _ in range(3):
        async with pool.acquire() as connection:
            said = await rotate(connection, TreeFolder(folder), lost=None)
        await sign_all(signer)
        assert signer.refused is None
        assert public_key(folder).text == said.key
    # Of a backup, the key alone is not enough to tell which changes were meant.
    retired = folder / "retired-keys"
    kept = retired.read_text()
    retired.unlink()
    await append_notes(pool, 1)
    await refuses(folder, pool, "the event at position 11 names the key")
    retired.write_text(kept)
    await sign_all(signer)
    assert signer.refused is None
