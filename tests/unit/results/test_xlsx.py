"""A table as a workbook, read back by another library than the one that writes it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from service.results.read import SegmentResult, write_table
from service.results.tables import sql_text
from service.results.xlsx import MOST_ROWS, TooLarge


async def workbook(folder: Path, sql: str) -> list[list[Any]]:
    """Cells of the result of `sql`, with their names first, without our three columns."""
    target = folder / "table.xlsx"
    await write_table([segment(folder, sql)], "xlsx", target)
    sheet = openpyxl.load_workbook(target).active
    assert sheet is not None
    return [list(row)[3:] for row in sheet.iter_rows()]


def segment(folder: Path, sql: str) -> SegmentResult:
    file = folder / "1.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY ({sql}) TO {sql_text(str(file))} (FORMAT parquet)")
    return SegmentResult(date(2025, 1, 1), date(2025, 1, 2), 1, file)


async def test_values_have_their_types_and_nulls_are_empty(tmp_path: Path) -> None:
    names, cells = await workbook(
        tmp_path,
        "SELECT 'ü 日本' AS text, 7::BIGINT AS whole, 0.25::DOUBLE AS real, 12.50::DECIMAL(9, 2) AS money, true AS yes,"
        " DATE '2025-01-31' AS day, TIMESTAMP '2025-01-31 23:59:59.123' AS moment, NULL::BIGINT AS nothing",
    )
    assert [cell.value for cell in names] == ["text", "whole", "real", "money", "yes", "day", "moment", "nothing"]
    values = [cell.value for cell in cells]
    assert values[:5] == ["ü 日本", 7, 0.25, 12.5, True]
    assert [str(value) for value in values[5:]] == ["2025-01-31 00:00:00", "2025-01-31 23:59:59.123000", "None"]
    assert [cell.is_date for cell in cells] == [False] * 5 + [True, True, False]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "\t=1", "https://a.example", "007", "_x0041_"]
)
async def test_text_stays_text_whatever_it_begins_with(tmp_path: Path, text: str) -> None:
    _, cells = await workbook(tmp_path, f"SELECT {sql_text(text)} AS a")
    assert (unescape(cells[0].value), cells[0].data_type, cells[0].hyperlink) == (text, "s", None)


async def test_names_of_columns_are_text_too(tmp_path: Path) -> None:
    names, _ = await workbook(tmp_path, 'SELECT 1 AS "=1+1"')
    assert (names[0].value, names[0].data_type) == ("=1+1", "s")


async def test_numbers_of_more_digits_than_excel_has_are_text(tmp_path: Path) -> None:
    _, cells = await workbook(
        tmp_path,
        "SELECT '123456789012345678' AS id, 123456789012345678 AS long, 999999999999999 AS most,"
        " 1234567890123456.78::DECIMAL(18, 2) AS money, 'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS inf",
    )
    assert [cell.value for cell in cells] == [
        "123456789012345678", "123456789012345678", 999999999999999, "1234567890123456.78", "nan", "-inf",
    ]  # fmt: skip
    assert Decimal(cells[3].value) == Decimal("1234567890123456.78")


async def test_times_that_excel_does_not_have_are_text(tmp_path: Path) -> None:
    _, cells = await workbook(
        tmp_path, "SELECT DATE '1900-02-28' AS old, TIMESTAMP '2025-01-01 00:00:00.000001' AS fine"
    )
    assert [cell.value for cell in cells] == ["1900-02-28", "2025-01-01T00:00:00.000001"]


async def test_characters_that_xml_does_not_have_are_kept_or_escaped(tmp_path: Path) -> None:
    _, cells = await workbook(tmp_path, "SELECT 'a' || chr(1) || chr(31) || '<&>\"' || chr(10) || 'b' AS a")
    assert unescape(cells[0].value) == 'a\x01\x1f<&>"\nb'


async def test_what_a_sheet_does_not_hold_is_refused_with_what_does(tmp_path: Path) -> None:
    result = segment(tmp_path, f"SELECT range AS n FROM range({MOST_ROWS + 1})")
    with pytest.raises(TooLarge, match=r"1,048,576 rows, and a sheet holds 1,048,575; ask for csv or parquet"):
        await write_table([result], "xlsx", tmp_path / "table.xlsx")
    with pytest.raises(TooLarge, match=r"column long has 32,768 characters"):
        await workbook(tmp_path, "SELECT repeat('x', 32768) AS long")


async def test_without_segments_there_are_the_names_alone(tmp_path: Path) -> None:
    await write_table([], "xlsx", tmp_path / "table.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "table.xlsx").active
    assert sheet is not None
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["segment_start", "segment_end", "segment_version"]
    ]
