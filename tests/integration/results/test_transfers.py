"""Results on their way from AMC: many files, addresses that end, connections that break, and CSV that is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import RunningSandbox, running_sandbox
from tests.postgres import Database
from tests.service import Numbers, Service, serving, settings_for

FILES = 7
DAYS = 60


class Transfers:
    """A service whose sandbox splits each result over seven files, and whose downloads may go wrong."""

    def __init__(
        self, service: Service, sandbox: RunningSandbox, http: aiohttp.ClientSession, numbers: Numbers
    ) -> None:
        self.service, self.sandbox, self.http, self.numbers = service, sandbox, http, numbers

    async def faults(self, **faults: object) -> None:
        async with self.http.put(f"{self.sandbox.base_url}/sandbox/faults", json=faults) as answer:
            assert answer.status == 200, await answer.text()

    async def run(self) -> tuple[Any, Any]:
        """One window of all days; answers the collection and its one segment at their end."""
        submitted = await self.service.submitted(window=self.numbers.window(DAYS))
        self.collection_id = submitted["collection_id"]
        collection = await self.service.finished(submitted)
        progress = await self.service.read(f"/api/data-collections/{self.collection_id}/progress")
        return collection, progress["segments"][0]

    async def assert_whole(self) -> None:
        answer = await self.service.get(f"/api/data-collections/{self.collection_id}/results?format=json")
        assert sorted(row["value"] for row in answer.json) == list(range(1, DAYS + 1))

    def requests(self, name: str) -> int:
        return self.sandbox.sandbox.stats.requests[name]


@pytest.fixture
async def transfers(database: Database, tmp_path: Path, numbers: Numbers) -> AsyncIterator[Transfers]:
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with (
        running_sandbox(SandboxOptions(tables=(table,), result_files=FILES)) as sandbox,
        serving(settings_for(database, tmp_path, sandbox)) as service,
        aiohttp.ClientSession() as http,
    ):
        yield Transfers(service, sandbox, http, numbers)


async def test_addresses_that_end_in_the_middle_are_asked_for_anew_and_finished_files_are_kept(
    transfers: Transfers,
) -> None:
    await transfers.faults(expire_urls_every=3)
    collection, segment = await transfers.run()
    assert (collection["backfill_status"], segment["row_count"]) == ("completed", DAYS)
    await transfers.assert_whole()
    assert transfers.sandbox.sandbox.stats.downloads == FILES
    assert transfers.requests("GET workflowExecutions/{id}/downloadUrls") == 1 + FILES // 2


@pytest.mark.parametrize(
    "fault", [{"break_downloads_every": 2}, {"shorten_downloads_every": 3, "cut_at": 0.7}, {"page_every": 8}]
)
async def test_what_may_be_the_transfers_fault_is_tried_again(transfers: Transfers, fault: dict[str, object]) -> None:
    await transfers.faults(**fault)
    collection, segment = await transfers.run()
    assert (collection["backfill_status"], segment["row_count"], segment["attempts"]) == ("completed", DAYS, 1)
    await transfers.assert_whole()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("header", "the header of part-7.csv is 'other_date,value'; AMC announced the columns date, value"),
        ("no_header", "the header of part-7.csv is '20"),
        ("cut", "Expected Number of Columns: 2 Found: 1"),
    ],
)
async def test_what_amc_has_made_wrong_fails_the_segment_and_says_what(
    transfers: Transfers, wrong: str, said: str
) -> None:
    await transfers.faults(wrong_parts=wrong)
    collection, segment = await transfers.run()
    assert (collection["backfill_status"], segment["attempts"]) == ("failed", 1)
    assert segment["error"].startswith("the result cannot be read: ")
    assert said in segment["error"]
    answer = await transfers.service.get(f"/api/data-collections/{transfers.collection_id}/results?format=json")
    assert msgspec.json.decode(answer.body) == []


async def test_empty_fields_are_nulls_and_counted(transfers: Transfers) -> None:
    service, numbers = transfers.service, transfers.numbers
    sql = """SELECT date, CASE WHEN SUM(value) > 50 THEN SUM(value) END AS value, NULL AS nothing
               FROM numbers GROUP BY date"""
    submitted = await service.submitted(workflow=await service.workflow(sql), window=numbers.window(DAYS))
    collection = await service.finished(submitted)
    progress = await service.read(f"/api/data-collections/{submitted['collection_id']}/progress")
    segment = progress["segments"][0]
    assert (segment["nulls"], segment["null_count"]) == ({"value": 50, "nothing": DAYS}, 50 + DAYS)
    assert (collection["null_count"], collection["row_count"]) == (50 + DAYS, DAYS)
