"""Leases at their edges: work that takes longer than one, and ends that cross a renewal."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from db.pool import Pool
from events.envelope import new_id, stream_of
from events.reader import read_stream
from events.types.segment import Failed
from service.amc.client import AmcClient
from service.amc.downloads import Download
from service.amc.sandbox import RunningSandbox
from tests.backfill import Seed
from tests.integration.backfill.test_crashes import Bench, bench, sandbox
from tests.postgres import Database

__all__ = ["bench", "sandbox"]  # fixtures


async def types_of(pool: Pool, segment_id: Any) -> list[str]:
    return [event.event_type for event in await read_stream(pool, stream_of("segment", segment_id))]


async def test_a_segment_that_ended_while_leases_were_renewed_is_left_alone(database: Database, pool: Pool) -> None:
    seed = Seed(pool)
    await seed.instance()
    collection = await seed.collection(1)
    await seed.project()
    [row] = await pool.fetch("SELECT * FROM admit_segments($1, 0.01)", [new_id()])
    # Settling looks before the worker records the end, the renewal after it.
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("CREATE OR REPLACE FUNCTION settle_leases() RETURNS void LANGUAGE sql AS 'SELECT'")
    await admin.close()
    await seed.append(stream_of("segment", row["segment_id"]), Failed(collection, 1, "permanent", "no"))
    await asyncio.sleep(0.02)
    assert await pool.fetch("SELECT * FROM renew_expired_leases($1, 60)", [new_id()]) == []
    assert await types_of(pool, row["segment_id"]) == ["segment.dispatched", "segment.failed"]
    await seed.writer.close()


async def test_a_download_that_outlasts_the_lease_keeps_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.settings = msgspec.structs.replace(bench.settings, lease_margin=0.6)
    take = Download.take

    async def slow(download: Download, url: str) -> None:
        await asyncio.sleep(1.5)
        await take(download, url)

    monkeypatch.setattr(Download, "take", slow)
    renewed = []

    async def renew() -> None:
        while True:
            renewed.extend(await bench.pool.fetch("SELECT * FROM renew_expired_leases($1, 60)", [new_id()]))
            await asyncio.sleep(0.1)

    renewing = asyncio.create_task(renew())
    segment_id, _ = await bench.run(None, messages_lost=False)
    renewing.cancel()
    assert renewed == []
    types = await types_of(bench.pool, segment_id)
    assert types.count("segment.dispatched") == types.count("segment.completed") == 1


async def test_a_create_that_waited_too_long_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    create = AmcClient.create_execution

    async def after_a_long_wait(client: AmcClient, *arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(bench.settings.amc_timeout * 1.5)
        return await create(client, *arguments, **options)

    monkeypatch.setattr(AmcClient, "create_execution", after_a_long_wait)
    segment_id, _ = await bench.run(None, messages_lost=False)
    assert len(bench.sandbox.sandbox.executions) == 0
    assert (await types_of(bench.pool, segment_id))[-1] == "segment.retry_scheduled"


async def test_amazons_words_are_kept_even_where_they_hold_a_nul(bench: Bench, sandbox: RunningSandbox) -> None:
    sandbox.sandbox.faults.set(
        msgspec.structs.replace(sandbox.sandbox.faults.faults, fail_rate=1.0, fail_reason="no\0way" + "!" * 5000)
    )
    segment_id, _ = await bench.run(None, messages_lost=False)
    events = await read_stream(bench.pool, stream_of("segment", segment_id))
    assert events[-1].event_type == "segment.retry_scheduled"
    assert events[-1].data.error.startswith("no\ufffdway!!")  # type: ignore[attr-defined]
