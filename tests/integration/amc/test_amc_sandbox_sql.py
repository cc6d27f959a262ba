"""The sandbox's SQL: AMC's rules, its parameters, and that neither SQL nor values can break out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from events.types.workflow import TYPE_NAMES, DeclaredParameter
from service.amc.errors import AmcError
from service.amc.models import Parameter
from service.amc.outcomes import failure_of
from service.amc.sandbox import SandboxOptions, TableFile, running_sandbox
from service.workflows.parameters import check_values

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Connect

HOSTILE = [
    "'); DROP TABLE adwords; --",
    "' OR '1'='1",
    "$$; SELECT 1; $$",
    'a"b\\',
    "CUSTOM_PARAMETER('v')",
    "{{v}} \u2028 é",
]

REFUSED = [
    "SELECT content FROM read_text('{file}')",
    "SELECT COUNT(*) AS n FROM '{file}'",
    "SELECT COUNT(*) AS n FROM adwords, read_csv('{file}')",
    "SELECT COUNT(*) AS n FROM glob('/*')",
    "COPY adwords TO '{file}.copy'",
    "ATTACH '{file}.db'",
    "SET enable_external_access = true",
    "SELECT COUNT(*) AS n FROM source.adwords",
    "SELECT COUNT(*) AS n FROM duckdb_settings()",
    "SELECT COUNT(*) AS n FROM adwords; DROP TABLE adwords",
    "DROP TABLE adwords",
    "SELECT $${file}$$ AS x, COUNT(*) AS n FROM adwords",
    "SELECT COUNT(*) AS n FROM query('SELECT 1')",
    "DESCRIBE adwords",
    "SELECT * FROM adwords",
    "SELECT adwords.* FROM adwords",
    "SELECT clicks FROM adwords LIMIT 5",
    "SELECT clicks FROM adwords ORDER BY clicks",
    "SELECT clicks FROM adwords WHERE clicks IN (SELECT clicks FROM adwords LIMIT 1)",
    "SELECT COUNT(*) AS n FROM adwords WHERE clicks = CUSTOM_PARAMETER('undeclared')",
    "SELECT COUNT(*) AS n FROM nowhere",
    "SELEKT 1",
    "SELECT COUNT(*) FROM handle, adwords",
]


async def test_parameter_values_of_any_content_stay_values(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    sql = (
        "SELECT CUSTOM_PARAMETER('v') AS v, COUNT(*) AS n FROM adwords "
        "WHERE CAST(keyword_id AS VARCHAR) <> CUSTOM_PARAMETER('v') GROUP BY CUSTOM_PARAMETER('v')"
    )
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save(sql, (Parameter(name="v"),))
        for value in HOSTILE:
            execution = await bench.run(bench.request(name, v=value))
            assert execution.status == "SUCCEEDED", execution.status_reason
            assert execution.parameter_values == {"v": value}
            assert [row[-1] for row in await bench.rows(execution, tmp_path)] == ["7"]


async def test_parameters_have_their_declared_types_defaults_and_lists(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    sql = """
        SELECT COUNT(*) AS n, MIN(date) AS first
        FROM adwords  -- CUSTOM_PARAMETER('not_one') in a comment is none, nor in 'text'
        WHERE array_contains(CUSTOM_PARAMETER('keywords'), CAST(keyword_id AS VARCHAR))
          AND date >= CUSTOM_PARAMETER('since') AND impressions > CUSTOM_PARAMETER('least')
          AND 'CUSTOM_PARAMETER(''x'')' <> ''
          AND CAST(BUILT_IN_PARAMETER('TIME_WINDOW_START') AS DATE) = DATE '2025-01-01';
    """
    parameters = (
        Parameter(name="keywords", data_type="ARRAY"),
        Parameter(name="since", data_type="DATE"),
        Parameter(name="least", data_type="LONG", default_value=0),
    )
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save(sql, parameters)
        request = bench.request(name, bench.first, 10, keywords=["1", "2", "x'y"], since="2025-01-03")
        execution = await bench.run(request)
        assert execution.status == "SUCCEEDED", execution.status_reason
        assert await bench.rows(execution, tmp_path) == [["16", "2025-01-03"]]
        with pytest.raises(AmcError, match="since has no default value"):
            await bench.run(bench.request(name, keywords=["1"]))
        wrong = await bench.run(bench.request(name, keywords=["1"], since="some day"))
        failure = failure_of(wrong.status, wrong.status_reason)
        assert failure is not None
        assert failure.code == "permanent"


EVERY_TYPE = {
    "BINARY": ("aGk=", "CAST(CUSTOM_PARAMETER('p') AS VARCHAR) = 'hi'"),
    "BOOLEAN": ("True", "CUSTOM_PARAMETER('p')"),
    "BYTE": ("-128", "CUSTOM_PARAMETER('p') + 127 = -1"),
    "CALENDAR_INTERVAL": ("P1M2W", "DATE '2025-01-01' + CUSTOM_PARAMETER('p') = DATE '2025-02-15'"),
    "DATE": ("2024-02-29", "CUSTOM_PARAMETER('p') + 1 = DATE '2024-03-01'"),
    "DECIMAL": ("0.10", "CUSTOM_PARAMETER('p') * 3 = 0.3"),
    "DOUBLE": ("1.5e2", "CUSTOM_PARAMETER('p') / 2 = 75"),
    "FLOAT": (0.5, "CUSTOM_PARAMETER('p') = 0.5"),
    "INTEGER": (2147483647, "CUSTOM_PARAMETER('p') - 1 = 2147483646"),
    "LONG": ("9223372036854775807", "CUSTOM_PARAMETER('p') - 1 = 9223372036854775806"),
    "SHORT": ("7", "CUSTOM_PARAMETER('p') * 2 = 14"),
    "STRING": ("123456789012345678", "CUSTOM_PARAMETER('p') = '123456789012345678'"),
    "TIMESTAMP": ("2025-01-31 09:00:00.5", "CUSTOM_PARAMETER('p') > TIMESTAMP '2025-01-31 09:00:00'"),
    "ARRAY": (" x,y z\nx,it's", "CUSTOM_PARAMETER('p') = ['x', 'y z', 'it''s']"),
}


async def test_every_declared_type_means_the_same_at_amc_as_where_it_was_checked(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    assert set(EVERY_TYPE) == {*TYPE_NAMES, "ARRAY"}
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        for data_type, (value, condition) in EVERY_TYPE.items():
            values, problems = check_values([DeclaredParameter("p", data_type)], {"p": value})
            assert problems == []
            name = await bench.save(
                f"SELECT COUNT(*) AS n FROM adwords WHERE {condition}", (Parameter(name="p", data_type=data_type),)
            )
            execution = await bench.run(bench.request(name, p=values["p"]))
            assert execution.status == "SUCCEEDED", (data_type, execution.status_reason)
            assert await bench.rows(execution, tmp_path) == [["7"]], data_type
            # And as a default, with no value at all.
            default = (Parameter(name="p", data_type=data_type, default_value=values["p"]),)
            name = await bench.save(f"SELECT COUNT(*) AS n FROM adwords WHERE {condition}", default)
            execution = await bench.run(bench.request(name))
            assert await bench.rows(execution, tmp_path) == [["7"]], data_type


async def test_sql_that_amc_would_refuse_or_that_reaches_outside_ends_rejected(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    file = tmp_path / "private.csv"
    file.write_text("content\nprivate\n")
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        for sql in REFUSED:
            name = await bench.save(sql.replace("{file}", str(file)))
            execution = await bench.run(bench.request(name))
            assert execution.status == "REJECTED", sql
            failure = failure_of(execution.status, execution.status_reason)
            assert failure is not None
            assert failure.code == "permanent", (sql, execution.status_reason)
        assert [path.name for path in tmp_path.iterdir()] == ["private.csv"]
        # And nothing is broken for the next one.
        assert (await bench.run(bench.request(await bench.save()))).status == "SUCCEEDED"


async def test_common_table_expressions_values_and_extended_windows_run(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    sql = """
        WITH days AS (SELECT date, SUM(clicks) AS clicks FROM EXTEND_TIME_WINDOW('adwords', 'P2D', 'P1D') GROUP BY date),
             kept AS (SELECT date, ROW_NUMBER() OVER (ORDER BY date) AS n FROM days)
        SELECT COUNT(*) AS days, MIN(date) AS first, MAX(n) AS n FROM kept
        WHERE date IN (SELECT date FROM kept) AND n NOT IN (SELECT v FROM (VALUES (99)) AS t(v))
    """  # noqa: E501
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save(sql), bench.first.replace(day=10)))
        assert execution.status == "SUCCEEDED", execution.status_reason
        assert await bench.rows(execution, tmp_path) == [["4", "2025-01-08", "4"]]


async def test_rows_over_too_few_users_are_left_out_where_a_threshold_is_set(connect: Connect, tmp_path: Path) -> None:
    sql = (
        "SELECT customer_search_term, COUNT(DISTINCT user_id) AS users "
        "FROM sponsored_ads_traffic GROUP BY customer_search_term"
    )
    async with running_sandbox(SandboxOptions(generated=True, min_users=20)) as handle:
        bench = await connect(handle)
        first = datetime.now(UTC).date() - timedelta(days=31)
        execution = await bench.run(bench.request(await bench.save(sql), first, 30))
        assert execution.status == "SUCCEEDED", execution.status_reason
        users = [int(row[1]) for row in await bench.rows(execution, tmp_path)]
        assert 0 < len(users) < 300
        assert min(users) >= 20
