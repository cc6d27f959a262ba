"""A worker killed before or after any call that it makes: the segment is run once, and its result is exact.

Every point at which a process can die is found by counting the calls of an undisturbed run; then the segment
is run anew for each point, the worker is killed there, and another goes on, once with the delivery handed out
again, once with everything lost that the broker held.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from db.pool import Pool
from events.envelope import new_id, stream_of
from events.epochs import EPOCHS_STREAM
from events.reader import read_stream
from events.streams import Streams
from events.types.log import EpochBegun
from events.types.segment import Submitted
from service.amc.accounts import AccountState
from service.amc.connections import Connections
from service.amc.keys import SecretKeys
from service.amc.models import Account
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from service.amc.vault import Vault
from service.backfill.broker.messages import StepMessage
from service.backfill.broker.port import Delivery
from service.backfill.turn import Tools
from service.backfill.worker import Worker
from service.persons.texts import PersonalTexts
from service.results.folder_store import FolderStore
from service.settings import Settings
from tests.backfill import Seed
from tests.postgres import Database
from tests.tree import forge

DAY = date(2026, 1, 31)


class Killed(BaseException):
    """The process is gone: no handler of ours may run after it."""


class Reaper:
    """Counts the points at which a process could die, and kills it at the chosen one."""

    def __init__(self, kill_at: int | None) -> None:
        self.points = 0
        self._kill_at = kill_at

    def point(self) -> None:
        self.points += 1
        if self.points == self._kill_at:
            raise Killed

    def around(self, part: Any, *names: str) -> Any:
        """The part, with a point before and after each of these calls."""
        return Watched(part, self, names)


class Watched:
    def __init__(self, part: Any, reaper: Reaper, names: Sequence[str]) -> None:
        self._part = part
        self._reaper = reaper
        self._names = names

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name not in self._names:
            return value

        async def call(*arguments: Any, **options: Any) -> Any:
            self._reaper.point()
            answer = await value(*arguments, **options)
            self._reaper.point()
            return answer

        return call


class WatchedConnections(Connections):
    """Accounts whose clients have points."""

    reaper: Reaper

    def client(self, login: Account, account: AccountState | None = None) -> Any:
        client = super().client(login, account)
        download = client.download
        client.download = lambda path: self.reaper.around(download(path), "take")  # type: ignore[method-assign]
        return self.reaper.around(
            client, "list_advertisers", "put_workflow", "take_place", "create_execution", "get_execution",
            "list_executions",
            "download_urls",
        )  # fmt: skip


class Held:
    """What a broker holds, in the test's hands: messages with their delays."""

    def __init__(self) -> None:
        self.messages: deque[tuple[float, StepMessage]] = deque()

    async def publish(self, messages: Sequence[StepMessage], *, delay: float = 0) -> None:
        self.messages.extend((delay, message) for message in messages)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    table = tmp_path / "numbers.csv"
    table.write_text(f"date,value\n{DAY},7\n")
    options = SandboxOptions(tables=(TableFile(name="numbers", path=table, date_column="date"),))
    async with running_sandbox(options) as running:
        yield running


class Bench:
    """Runs one segment to its end, over as many processes as are killed on the way."""

    def __init__(self, pool: Pool, seed: Seed, sandbox: RunningSandbox, folder: Path) -> None:
        self.pool, self.seed, self.sandbox = pool, seed, sandbox
        self.store = FolderStore(folder)
        self.store.prepare()
        self.settings = Settings(
            amc_timeout=0.3, lease_margin=5, amc_poll_delays=(0.0, 0.01), retry_base=0.01, retry_cap=0.01,
            amc_requests_per_second=10_000, amc_client_id="c", amc_client_secret="s", amc_refresh_token="r",
            amc_base_url=sandbox.base_url, amc_token_url=sandbox.token_url,
        )  # fmt: skip

    async def run(self, kill_at: int | None, *, messages_lost: bool) -> tuple[UUID, int]:
        """A new segment, brought to its end; answers it, and the number of points of its first process."""
        await self.seed.collection(1, last=DAY)
        await self.seed.project()
        rows = await self.pool.fetch("SELECT * FROM admit_segments($1, 60)", [new_id()])
        held = Held()
        await held.publish([message_of(rows[0], "submit")])
        segment_id = rows[0]["segment_id"]
        reaper = Reaper(kill_at)
        points = None
        async with aiohttp.ClientSession() as session:
            worker = self.process(session, held, reaper)
            while held.messages:
                delay, message = held.messages.popleft()
                await asyncio.sleep(delay)
                try:
                    await worker.handle(Delivery(message, redelivered=False))
                    continue
                except Killed:
                    points = reaper.points
                worker = self.process(session, held, Reaper(None))
                if messages_lost:
                    held.messages.clear()
                    await self.pool.execute("UPDATE segment_leases SET lease_until = clock_timestamp()")
                    lost = await self.pool.fetch("SELECT * FROM renew_expired_leases($1, 60)", [new_id()])
                    await held.publish([message_of(row, row["step"]) for row in lost])
                else:
                    await worker.handle(Delivery(message, redelivered=True))
        return segment_id, points or reaper.points

    def accounts(self, session: aiohttp.ClientSession, reaper: Reaper) -> WatchedConnections:
        """The accounts of a new process."""
        vault = Vault(self.pool, SecretKeys(self.settings))
        accounts = WatchedConnections(self.pool, self.seed.writer, session, vault, self.settings)
        accounts.reaper = reaper
        return accounts

    def process(self, session: aiohttp.ClientSession, held: Held, reaper: Reaper) -> Worker:
        """A new process's worker."""
        return Worker(
            Tools(
                pool=reaper.around(self.pool, "fetchval", "execute"),
                streams=reaper.around(Streams(self.pool), "read"),
                writer=reaper.around(self.seed.writer, "append"),
                broker=reaper.around(held, "publish"),
                accounts=self.accounts(session, reaper),
                store=reaper.around(self.store, "keep"),
                settings=self.settings,
                saved_workflows=set(),
                texts=PersonalTexts(self.pool, SecretKeys(self.settings)),
            )
        )  # fmt: skip


def message_of(row: Any, step: Any) -> StepMessage:
    return StepMessage(
        segment_id=str(row["segment_id"]), collection_id=str(row["collection_id"]), team_id=row["team_id"],
        step=step, fence=row["fence"], sequence=1, lane=row["lane"],
    )  # fmt: skip


@pytest.fixture
async def bench(pool: Pool, sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Bench]:
    seed = Seed(pool)
    await seed.instance()
    yield Bench(pool, seed, sandbox, tmp_path / "results")
    await seed.writer.close()


async def assert_run_once(bench: Bench, segment_id: UUID, executions_before: int, what: str) -> None:
    types = [event.event_type for event in await read_stream(bench.pool, stream_of("segment", segment_id))]
    assert types.count("segment.completed") == 1, (what, types)
    assert types.count("segment.submitted") == 1, (what, types)
    assert "segment.retry_scheduled" not in types, (what, types)
    created = len(bench.sandbox.sandbox.executions)
    assert created - executions_before == 1, (what, types)


@pytest.mark.parametrize("messages_lost", [False, True], ids=["redelivered", "messages lost"])
async def test_killed_at_any_call_the_segment_is_run_once(bench: Bench, messages_lost: bool) -> None:
    segment_id, points = await bench.run(None, messages_lost=False)
    await assert_run_once(bench, segment_id, 0, "undisturbed")
    assert points >= 24
    for kill_at in range(1, points + 1):
        before = len(bench.sandbox.sandbox.executions)
        segment_id, _ = await bench.run(kill_at, messages_lost=messages_lost)
        await assert_run_once(bench, segment_id, before, f"killed at point {kill_at} of {points}")


async def test_a_create_whose_answer_is_lost_is_found_again(bench: Bench) -> None:
    bench.sandbox.sandbox.faults.set(Faults(drop_every=1))
    segment_id, _ = await bench.run(None, messages_lost=False)
    await assert_run_once(bench, segment_id, 0, "answer dropped")
    assert await adopted(bench, segment_id) == [True]


async def test_after_a_restore_an_execution_that_the_log_has_forgotten_is_adopted(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten, _ = await bench.run(None, messages_lost=False)
    # What a restore takes back: who has which execution. Nothing else of the segment is looked at by others.
    await forge(database, "DELETE FROM idempotency_keys")
    project = bench.seed.project

    async def restored() -> None:
        """After a collection was recorded, and before its segment is admitted, the log begins a new epoch."""
        begun = EpochBegun(2, 0, None, datetime.now(UTC) - timedelta(minutes=1), "the head of the log that is gone")
        await bench.seed.append(EPOCHS_STREAM, begun)
        monkeypatch.undo()
        await project()

    monkeypatch.setattr(bench.seed, "project", restored)
    planned_before, _ = await bench.run(None, messages_lost=False)
    assert [len(bench.sandbox.sandbox.executions), await adopted(bench, planned_before)] == [1, [True]]
    assert await executions_of(bench, planned_before) == await executions_of(bench, forgotten)
    planned_after, _ = await bench.run(None, messages_lost=False)
    assert [len(bench.sandbox.sandbox.executions), await adopted(bench, planned_after)] == [2, [False]]


async def adopted(bench: Bench, segment_id: UUID) -> list[bool]:
    events = await read_stream(bench.pool, stream_of("segment", segment_id))
    return [event.data.adopted for event in events if isinstance(event.data, Submitted)]


async def executions_of(bench: Bench, segment_id: UUID) -> list[str]:
    events = await read_stream(bench.pool, stream_of("segment", segment_id))
    return [event.data.execution_id for event in events if isinstance(event.data, Submitted)]
