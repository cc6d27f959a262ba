"""Many Parquet files as one table."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from service.results.read import Format, SegmentResult, write_table
from service.results.tables import sql_text


class Folder:
    """Segments' files, made from SQL, and the table that is read back from them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def segment(self, day: int, sql: str, *, file: str | None = None, version: int = 1) -> SegmentResult:
        target = self.path / f"{file or day}.parquet"
        with duckdb.connect() as database:
            database.execute(f"COPY ({sql}) TO {sql_text(str(target))} (FORMAT parquet)")
        return SegmentResult(date(2025, 1, day), date(2025, 1, day), version, target)

    async def read(self, *results: SegmentResult) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Columns and rows, by way of Parquet."""
        target = self.path / "table.parquet"
        await write_table(results, "parquet", target)
        with duckdb.connect() as database:
            table = database.execute(f"SELECT * FROM {sql_text(str(target))}")
            return [each[0] for each in table.description or ()], table.fetchall()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    # A path that DuckDB could take for a pattern.
    path = tmp_path / "it's [1] *"
    path.mkdir()
    return Folder(path)


async def test_two_segments_that_share_a_file_are_both_there(folder: Folder) -> None:
    one = folder.segment(1, "SELECT 7 AS n", file="same")
    other = folder.segment(2, "SELECT 7 AS n", file="same")
    _, rows = await folder.read(one, other)
    assert rows == [(date(2025, 1, 1), date(2025, 1, 1), 1, 7), (date(2025, 1, 2), date(2025, 1, 2), 1, 7)]


async def test_columns_that_only_some_segments_have_are_null_elsewhere(folder: Folder) -> None:
    columns, rows = await folder.read(
        folder.segment(1, "SELECT 'x' AS a, 1 AS b"),
        folder.segment(2, "SELECT 2 AS b, DATE '2025-01-02' AS c"),
        folder.segment(3, "SELECT 'empty' AS d LIMIT 0"),
    )
    # Those of the newest first, then what only older ones have.
    assert columns == ["segment_start", "segment_end", "segment_version", "d", "b", "c", "a"]
    assert [row[3:] for row in rows] == [(None, 1, None, "x"), (None, 2, date(2025, 1, 2), None)]


async def test_a_column_whose_type_changed_keeps_every_value(folder: Folder) -> None:
    _, rows = await folder.read(
        folder.segment(1, "SELECT 1::TINYINT AS n, 1.5::DECIMAL(4, 1) AS d, 1 AS t"),
        folder.segment(2, "SELECT 9007199254740993 AS n, 1.25::DECIMAL(6, 2) AS d, 'x' AS t"),
    )
    assert [row[3:] for row in rows] == [
        (1, Decimal("1.50"), "1"),
        (9007199254740993, Decimal("1.25"), "x"),
    ]


async def test_rows_stay_in_order_oldest_segment_first(folder: Folder) -> None:
    late = folder.segment(2, "SELECT range AS n FROM range(100000, 200000)")
    early = folder.segment(1, "SELECT range AS n FROM range(100000)")
    _, rows = await folder.read(late, early)
    assert [row[3] for row in rows] == list(range(200_000))


async def test_results_may_have_columns_of_our_names(folder: Folder) -> None:
    columns, rows = await folder.read(folder.segment(1, "SELECT 'x' AS segment_start, 'y' AS filename, 'z' AS file"))
    assert columns == ["segment_start", "segment_end", "segment_version", "segment_start_1", "filename", "file"]
    assert rows[0][3:] == ("x", "y", "z")


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
async def test_without_segments_the_table_is_empty_and_well_formed(folder: Folder, format: Format) -> None:
    target = folder.path / "table"
    await write_table([], format, target)
    with duckdb.connect() as database:
        match format:
            case "csv":
                assert target.read_text() == "segment_start,segment_end,segment_version\n"
            case "json":
                assert json.loads(target.read_text()) == []
            case _:
                assert database.execute("SELECT count(*) FROM read_parquet($f)", {"f": str(target)}).fetchall() == [
                    (0,)
                ]


async def test_csv_quotes_what_needs_it(folder: Folder) -> None:
    texts = ['a "b", c', "one\ntwo", "back\\slash", "ü", "", " x"]
    values = ", ".join(f"({number}, '{text}')" for number, text in enumerate(texts))
    result = folder.segment(1, f"SELECT * FROM (VALUES {values}, (6, NULL)) AS t(n, text)")
    target = folder.path / "table"
    await write_table([result], "csv", target)
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert [row[4] for row in rows[1:]] == [*texts, ""]


async def test_json_is_json_even_with_numbers_that_it_has_not(folder: Folder) -> None:
    sql = "SELECT 'nan'::DOUBLE AS a, '-inf'::FLOAT AS b, 0.1::DOUBLE AS c, 12345678901234567.89 AS d"
    target = folder.path / "table"
    await write_table([folder.segment(1, sql), folder.segment(2, "SELECT NULL::DOUBLE AS a")], "json", target)

    def refuse(name: str) -> None:
        raise ValueError(name)

    first, second = json.loads(target.read_text(), parse_constant=refuse, parse_float=Decimal)
    assert (first["a"], first["b"], first["c"], first["d"]) == (
        None, None, Decimal("0.1"), Decimal("12345678901234567.89")
    )  # fmt: skip
    assert second["a"] is None


async def test_a_missing_file_is_an_error_and_not_a_shorter_table(folder: Folder) -> None:
    there = folder.segment(1, "SELECT 1 AS n")
    gone = SegmentResult(date(2025, 1, 2), date(2025, 1, 2), 1, folder.path / "gone.parquet")
    with pytest.raises(duckdb.IOException, match=r"gone\.parquet"):
        await folder.read(there, gone)
