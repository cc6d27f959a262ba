"""The role tree, killed with SIGKILL at any moment while events are recorded: no two heads contradict each other."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from db.pool import Pool
from events.tree.heads import head_of
from events.tree.notes import parse_note
from service.tree.folder import TreeFolder
from service.tree.keys import rotate
from service.tree.restore import heads_in
from tests.deployment import Deployment
from tests.postgres import Database
from tests.tree import append_notes, root_of_log, sign_until

KILLS = 60 if os.environ.get("TEST_LENGTH") == "long" else 3


async def test_signers_that_are_killed_leave_one_history(pool: Pool, database: Database, tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    heads_file = tmp_path / "heads"
    environment = {
        "REPORT_BUILDER_DATABASE_URL": database.service_url,
        "REPORT_BUILDER_TREE_INTERVAL": "0.01",
        "REPORT_BUILDER_TREE_HEADS_FILE": str(heads_file),
        "REPORT_BUILDER_TREE_HEADS_LOG": "false",
    }
    deployment = Deployment(tmp_path, environment)
    signers = [deployment.start("run", "--roles", "tree") for _ in range(2)]
    recording = asyncio.create_task(record(pool))
    folder = TreeFolder(tmp_path / "data" / "tree")
    try:
        for kill in range(KILLS):
            # Once it signs: in whatever of its rounds.
            await sign_until(pool, await signed(pool) + 1)
            await asyncio.sleep(chance.uniform(0, 0.1))
            victim = chance.randrange(2)
            signers[victim].kill()
            signers[victim].wait()
            if kill % 3 == 1:
                async with pool.acquire() as connection, folder.soon_locked():
                    await rotate(connection, folder, lost=None)
            signers[victim] = deployment.start("run", "--roles", "tree")
        await sign_until(pool, await signed(pool) + 1)
    finally:
        recording.cancel()
        deployment.stop()
    await only_one_history(pool, folder, heads_file)


async def record(pool: Pool) -> None:
    while True:
        await append_notes(pool, 3)
        await asyncio.sleep(0.01)


async def signed(pool: Pool) -> int:
    size: int = await pool.fetchval("SELECT coalesce(max(size), 0) FROM tree_heads")
    return size


async def only_one_history(pool: Pool, folder: TreeFolder, heads_file: Path) -> None:
    """Every head that anybody can have seen is of the log as it is, and signed with a key of the log's."""
    carried, _ = heads_in(heads_file.read_text(), folder.verifier_keys())
    seen = {str(head.note) for head in carried}
    assert seen
    table = {row["note"] for row in await pool.fetch("SELECT note FROM tree_heads")}
    last = folder.last_head()
    assert last is not None
    assert seen <= table | {str(last.note)}
    keys = folder.verifier_keys()
    roots: dict[int, bytes] = {}
    async with pool.acquire() as connection:
        for text in table | {str(last.note)}:
            note = parse_note(text)
            head = head_of(note)
            assert note.verified(keys)
            assert roots.setdefault(head.size, head.root) == head.root
        for size in random.Random(1).sample(sorted(roots), min(len(roots), 20)):
            assert roots[size] == await root_of_log(connection, size)
    assert len(keys) == 1 + await pool.fetchval("SELECT count(*) FROM report_builder_audit WHERE stream = 'log-keys'")


@pytest.fixture(autouse=True)
def _kills_are_counted(record_property: pytest.FixtureRequest) -> None:
    record_property("cases", KILLS)  # type: ignore[operator]
