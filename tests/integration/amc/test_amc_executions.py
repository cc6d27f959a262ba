"""The client against the sandbox: from saved bench.sql to result files, and looking up what went before."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.amc.errors import AmcError
from service.amc.models import ExecutionRequest, Parameter, matches
from service.amc.outcomes import failure_of
from service.amc.sandbox import Faults, SandboxOptions, TableFile, running_sandbox
from service.amc.sandbox.tables import BadTable

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Connect

FIRST = date(2025, 1, 1)
DAYS = 120
"""Of the `adwords` fixture."""


def months(first: date, days: int) -> list[tuple[date, int]]:
    starts = [first] + [first + timedelta(n) for n in range(1, days) if (first + timedelta(n)).day == 1]
    ends = [*starts[1:], first + timedelta(days)]
    return [(start, (end - start).days) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize(
    "windows",
    [
        [(FIRST + timedelta(n), 1) for n in range(DAYS)],
        [(FIRST + timedelta(n), min(7, DAYS - n)) for n in range(0, DAYS, 7)],
        months(FIRST, DAYS),
    ],
    ids=["daily", "weekly", "monthly"],
)
async def test_the_totals_of_all_windows_are_those_of_the_file(
    connect: Connect,
    adwords: TableFile,
    totals: tuple[int, int],
    windows: list[tuple[date, int]],
    tmp_path: Path,
) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save()

        async def total(window: tuple[date, int]) -> tuple[int, int]:
            execution = await bench.run(bench.request(name, *window))
            assert execution.status == "SUCCEEDED"
            rows = await bench.rows(execution, tmp_path)
            return sum(int(row[1]) for row in rows), sum(int(row[2]) for row in rows)

        parts = await asyncio.gather(*(total(window) for window in windows))
        assert (sum(part[0] for part in parts), sum(part[1] for part in parts)) == totals
        assert (await bench.stats())["duplicates"] == 0


async def test_adjoining_windows_over_generated_timestamps_add_up_to_the_whole(
    connect: Connect, tmp_path: Path
) -> None:
    options = SandboxOptions(generated=True, today=date(2026, 4, 1))
    sql = "SELECT COUNT(*) AS events, SUM(spend) AS spend FROM sponsored_ads_traffic"
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        name = await bench.save(sql)

        async def total(first: date, days: int) -> list[int]:
            rows = await bench.rows(await bench.run(bench.request(name, first, days)), tmp_path)
            return [int(cell) for cell in rows[0]]

        # Over the change to summer time: one of these days has 23 hours.
        whole = await total(date(2026, 3, 2), 14)
        parts = await asyncio.gather(*(total(date(2026, 3, 2) + timedelta(n), 1) for n in range(14)))
        assert [sum(column) for column in zip(*parts, strict=True)] == whole
        assert whole[0] > 1000


async def test_windows_sent_in_utc_for_want_of_a_midnight_share_no_date_and_lose_none(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save("SELECT MIN(date) AS a, MAX(date) AS z FROM adwords")
        for zone, start, end in [
            ("UTC", "2025-01-05T04:00:00", "2025-01-12T03:00:00"),
            ("UTC", "2025-01-04T22:00:00", "2025-01-11T21:00:00"),
            ("Asia/Beirut", "2025-01-05T00:00:00", "2025-01-12T00:00:00"),
        ]:
            request = ExecutionRequest(workflow_id=name, window_start=start, window_end=end, time_zone=zone)
            assert await bench.rows(await bench.run(request), tmp_path) == [["2025-01-05", "2025-01-11"]]


async def test_shifted_dates_end_yesterday(connect: Connect, adwords: TableFile, tmp_path: Path) -> None:
    options = SandboxOptions(tables=(adwords,), shift_dates=True, today=date(2026, 6, 15))
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        name = await bench.save("SELECT MIN(date) AS first, MAX(date) AS last FROM adwords")
        execution = await bench.run(bench.request(name, date(2025, 1, 1), 700))
        first = date(2026, 6, 14) - timedelta(days=DAYS - 1)
        assert await bench.rows(execution, tmp_path) == [[first.isoformat(), "2026-06-14"]]


async def test_a_create_whose_answer_was_lost_is_found_by_list_and_match(connect: Connect, adwords: TableFile) -> None:
    options = SandboxOptions(tables=(adwords,), faults=Faults(drop_every=2))
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        parameters = (Parameter(name="keywords", data_type="ARRAY"), Parameter(name="n", data_type="LONG"))
        name = await bench.save(
            bench.sql.replace(
                "GROUP", "WHERE array_contains(CUSTOM_PARAMETER('keywords'), CAST(keyword_id AS VARCHAR)) GROUP"
            ),
            parameters,
        )
        before = datetime.now(UTC)
        await bench.client.create_execution(bench.instance, bench.request(name, keywords=["1"], n=1))
        lost = bench.request(name, keywords=["1", "2"], n=1)
        with pytest.raises(AmcError) as raised:
            await bench.client.create_execution(bench.instance, lost)
        assert (raised.value.kind, raised.value.code) == ("transient", "connection_lost")
        assert raised.value.may_have_landed
        found = await bench.client.list_executions(bench.instance, workflow_id=name, min_creation_time=before)
        assert [matches(execution, lost, parameters) for execution in found] == [False, True]
        assert (await bench.finish(found[1])).status == "SUCCEEDED"


async def test_a_list_goes_over_all_pages_and_shows_cancelled_executions(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,), pending_seconds=30)) as handle:
        bench = await connect(handle)
        name, other = await bench.save(), await bench.save(bench.sql + " HAVING SUM(clicks) > 0")
        before = datetime.now(UTC)
        created = [
            await bench.client.create_execution(bench.instance, bench.request(name, FIRST + timedelta(n % 90)))
            for n in range(205)
        ]
        await bench.client.create_execution(bench.instance, bench.request(other))
        assert await bench.client.cancel_execution(bench.instance, created[0].execution_id)
        found = await bench.client.list_executions(bench.instance, workflow_id=name, min_creation_time=before)
        assert [item.execution_id for item in found] == [item.execution_id for item in created]
        assert found[0].status == "CANCELLED"
        later = await bench.client.list_executions(
            bench.instance, workflow_id=name, min_creation_time=before + timedelta(minutes=5)
        )
        assert later == []
        stats = await bench.stats()
        assert (stats["created"], stats["duplicates"]) == (206, 115)


async def test_cancelling_what_has_ended_is_refused_without_an_error(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save()))
        assert not await bench.client.cancel_execution(bench.instance, execution.execution_id)


async def test_an_instance_never_runs_more_than_its_limit_and_the_rest_wait_pending(
    connect: Connect, adwords: TableFile
) -> None:
    options = SandboxOptions(tables=(adwords,), running_seconds=0.15, max_concurrent=3)
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        name = await bench.save()
        created = [
            await bench.client.create_execution(bench.instance, bench.request(name, FIRST + timedelta(n)))
            for n in range(7)
        ]
        await asyncio.sleep(0.05)
        stats = await bench.stats()
        assert (stats["running"], stats["pending"]) == (3, 4)
        for execution in created:
            assert (await bench.finish(execution)).status == "SUCCEEDED"
        seen = (await bench.stats())["max_concurrent_seen"]
        assert seen == {"overall": 7, "by_instance": {"amcsandbox1": 7}, "by_workflow": {name: 7}}


async def test_an_execution_answers_the_fields_that_amazon_has_recorded(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save()))
        columns = [(item.name, item.data_type, item.column_type) for item in execution.output_columns]
        assert columns == [
            ("keyword_id", "LONG", "DIMENSION"),
            ("impressions", "LONG", "METRIC"),
            ("clicks", "LONG", "METRIC"),
        ]
        assert execution.create_time is not None
        assert abs(execution.create_time - datetime.now(UTC)) < timedelta(seconds=30)
        assert execution.window_start_original == "2025-01-01T00:00:00"
        assert execution.time_zone_original == "America/New_York"
        assert execution.status_reason == ""


async def test_instances_are_listed_with_the_ids_that_calls_about_them_need(connect: Connect) -> None:
    async with running_sandbox(SandboxOptions(strict_instances=True)) as handle:
        bench = await connect(handle)
        listed = await bench.client.list_instances()
        assert [item.instance_id for item in listed] == ["amcsandbox1", "amcsandbox2"]
        assert {(item.advertiser_id, item.marketplace_id) for item in listed} == {("ENTITYSANDBOX1", "ATVPDKIKX0DER")}


async def test_a_window_fails_as_often_as_the_fault_says_and_then_succeeds(
    connect: Connect, adwords: TableFile
) -> None:
    faults = Faults(fail_windows=(FIRST,), fail_times=2, fail_reason="Workflow execution timed out.")
    async with running_sandbox(SandboxOptions(tables=(adwords,), faults=faults)) as handle:
        bench = await connect(handle)
        name = await bench.save()
        ends = [await bench.run(bench.request(name)) for _ in range(3)]
        assert [item.status for item in ends] == ["FAILED", "FAILED", "SUCCEEDED"]
        failure = failure_of(ends[0].status, ends[0].status_reason)
        assert failure is not None
        assert failure.code == "timeout"
        assert (await bench.run(bench.request(name, FIRST + timedelta(1)))).status == "SUCCEEDED"


async def test_a_file_without_the_date_column_is_refused_with_its_columns(adwords: TableFile) -> None:
    wrong = TableFile(name="adwords", path=adwords.path, date_column="day")
    with pytest.raises(BadTable, match="has no column day; it has date, keyword_id"):
        async with running_sandbox(SandboxOptions(tables=(wrong,))):
            pass
