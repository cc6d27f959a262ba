"""What the owner of the log's table does to it, with triggers off, the verifier finds in what is exported then: at the
right position, with the right exit code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from db.pool import Connection
from events.tree.notes import SigningKey
from report_builder_verify.checks import Wanted
from tests.forger import (
    FORGERIES_OF_ALL,
    FORGERIES_OF_EVENTS,
    FORGERIES_OF_THE_LOG,
    NAME,
    Stage,
    exported,
    read_kept,
    verified,
)
from tests.postgres import Server

EVENTS = 20_000
HEADS = 20

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(postgres_server: Server) -> AsyncIterator[Stage]:
    async with postgres_server.fresh_database() as database:
        stage = Stage(database, EVENTS, HEADS, SigningKey.generate(NAME))
        await stage.build()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def owner(stage: Stage) -> AsyncIterator[Connection]:
    """The forger's connection. What they do is undone after the test."""
    connection = await asyncpg.connect(stage.database.admin_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL session_replication_role = replica")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_the_log_as_it_is_is_sound(stage: Stage, owner: Connection, tmp_path: Path) -> None:
    kept = await read_kept(owner, EVENTS // HEADS)
    findings = verified(await exported(owner, tmp_path / "log.zip"), stage.key, kept)
    assert (findings.outcome, findings.checked_to) == ("sound", EVENTS)
    assert (findings.heads_checked, findings.kept_heads_checked) == (HEADS, 1)


@pytest.mark.parametrize("name", FORGERIES_OF_EVENTS)
async def test_a_forged_event_is_found_in_the_part_that_has_it(
    name: str, stage: Stage, owner: Connection, tmp_path: Path
) -> None:
    forge, where = FORGERIES_OF_EVENTS[name]
    first, last = stage.middle - 300, stage.middle + 300
    await forge(owner, stage)
    file = await exported(owner, tmp_path / "part.zip", first, last)
    findings = verified(file, stage.key, wanted=Wanted(first, last))
    assert (findings.outcome, (findings.first, findings.last)) == ("tampered", where(stage)), findings.reason


@pytest.mark.parametrize("name", FORGERIES_OF_THE_LOG)
async def test_a_forgery_is_found_where_it_is(name: str, stage: Stage, owner: Connection, tmp_path: Path) -> None:
    forge, where = FORGERIES_OF_THE_LOG[name]
    await forge(owner, stage)
    findings = verified(await exported(owner, tmp_path / "log.zip"), stage.key)
    assert (findings.outcome, (findings.first, findings.last)) == ("tampered", where(stage)), findings.reason


@pytest.mark.parametrize("name", FORGERIES_OF_ALL)
async def test_what_was_forged_as_a_whole_is_found_by_a_head_that_was_kept(
    name: str, stage: Stage, owner: Connection, tmp_path: Path
) -> None:
    forge, where = FORGERIES_OF_ALL[name]
    kept = await read_kept(owner, EVENTS)
    await forge(owner, stage)
    file = await exported(owner, tmp_path / "log.zip")
    assert verified(file, stage.key).outcome == "sound"
    findings = verified(file, stage.key, kept)
    assert (findings.outcome, (findings.first, findings.last)) == ("tampered", where(stage)), findings.reason
