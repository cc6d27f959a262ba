"""Result files: several of them, packed, expired, damaged, and with characters that need care."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.amc.errors import AmcError
from service.amc.sandbox import SandboxOptions, TableFile, running_sandbox

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Connect


async def test_several_packed_files_hold_together_all_rows_once(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    options = SandboxOptions(tables=(adwords,), result_files=3, gzip_results=True)
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save()))
        assert len(await bench.client.download_urls(bench.instance, execution.execution_id)) == 3
        rows = await bench.rows(execution, tmp_path)
        assert sorted(row[0] for row in rows) == [str(keyword) for keyword in range(bench.keywords)]
        assert list(tmp_path.glob("*.part")) == []


async def test_an_expired_or_damaged_address_asks_for_a_new_one(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,), url_seconds=0.2)) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save()))
        url = (await bench.client.download_urls(bench.instance, execution.execution_id))[0]
        await bench.download(url, tmp_path / "good.csv")
        await asyncio.sleep(0.25)
        for bad in (url, url[:-1] + ("0" if url[-1] != "0" else "1")):
            with pytest.raises(AmcError) as raised:
                await bench.download(bad, tmp_path / "bad.csv")
            assert (raised.value.kind, raised.value.code) == ("transient", "url_expired")
            assert "X-Amz-Signature" not in str(raised.value)
        assert [path.name for path in tmp_path.iterdir()] == ["good.csv"]
        fresh = (await bench.client.download_urls(bench.instance, execution.execution_id))[0]
        assert await bench.download(fresh, tmp_path / "again.csv") > 0


async def test_a_result_that_is_not_there_yet_is_a_transient_error(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,), pending_seconds=30)) as handle:
        bench = await connect(handle)
        execution = await bench.client.create_execution(bench.instance, bench.request(await bench.save()))
        with pytest.raises(AmcError) as raised:
            await bench.client.download_urls(bench.instance, execution.execution_id)
        assert (raised.value.kind, raised.value.code) == ("transient", "not_downloadable")


async def test_values_are_written_as_amazon_writes_them(connect: Connect, adwords: TableFile, tmp_path: Path) -> None:
    sql = r"""
        SELECT 'say "yes", a\b' AS text, CAST(NULL AS VARCHAR) AS nothing, MIN(date) AS day,
               CAST(MIN(date) AS TIMESTAMP) AS moment, COUNT(*) > 0 AS flag, CAST(1.50 AS DECIMAL(9,2)) AS price
        FROM adwords
    """
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save(sql)))
        assert execution.status == "SUCCEEDED", execution.status_reason
        url = (await bench.client.download_urls(bench.instance, execution.execution_id))[0]
        await bench.download(url, tmp_path / "values.csv")
        text = (tmp_path / "values.csv").read_text()
        assert r'"say \"yes\", a\\b"' in text
        with (tmp_path / "values.csv").open(newline="") as file:
            row = list(csv.reader(file, escapechar="\\", doublequote=False))[1]
        assert row == ['say "yes", a\\b', "", "2025-01-01", "2025-01-01T00:00:00.000", "TRUE", "1.50"]
        assert [item.data_type for item in execution.output_columns][2:5] == ["DATE", "TIMESTAMP", "BOOLEAN"]


async def test_an_empty_result_is_a_header_alone(connect: Connect, adwords: TableFile, tmp_path: Path) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save("SELECT keyword_id FROM adwords WHERE clicks < 0 GROUP BY keyword_id")
        execution = await bench.run(bench.request(name))
        url = (await bench.client.download_urls(bench.instance, execution.execution_id))[0]
        assert await bench.download(url, tmp_path / "empty.csv") == len("keyword_id\n")


async def test_the_login_is_never_sent_to_a_download_address(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save()))
        url = (await bench.client.download_urls(bench.instance, execution.execution_id))[0]
        headers = {"Amazon-Advertising-API-ClientId": "x"}
        async with bench.session.get(url, headers=headers) as answer:
            assert answer.status == 400  # the sandbox would notice
        await bench.download(url, tmp_path / "result.csv")
