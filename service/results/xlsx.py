"""A table as an Excel workbook, row by row: what has been written is on disk, and never in memory.

Text is text, whatever it begins with: nothing becomes a formula, a link or a number. Excel's numbers have 15 digits,
so longer ones, as ids are, become text, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from service.results.tables import Session

MOST_ROWS = 1_048_576 - 1  # the first row has the names
MOST_TEXT = 32_767
MOST_DIGITS = 15
PAGE = 1000
MANY_CELLS = 10_000_000
# Excel takes 1900 for a leap year; days before its 29 February are off by one.
FIRST_DAY = date(1900, 3, 1)


class TooLarge(Exception):
    """A workbook does not hold the table; the message says why, and what does."""


def write_xlsx(session: Session, sql: str, parameters: dict[str, object], rows: int, target: Path) -> None:
    """Writes what `sql` answers, `rows` in all, to a workbook of one sheet. Raises TooLarge."""
    if rows > MOST_ROWS:
        raise TooLarge(f"the table has {rows:,} rows, and a sheet holds {MOST_ROWS:,}; ask for csv or parquet")
    answer = session.duckdb.execute(sql, parameters)
    names = [str(column[0]) for column in answer.description or ()]
    workbook = Workbook(
        str(target),
        {
            "constant_memory": True,
            "tmpdir": str(target.parent),
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        },
    )
    if rows * len(names) > MANY_CELLS:
        workbook.use_zip64()  # the sheet may be of more than 4 GB before it is packed
    sheet = workbook.add_worksheet("Results")
    cells = _Cells(sheet, workbook.add_format({"num_format": "yyyy-mm-dd"}),
                   workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}), names)  # fmt: skip
    for column, name in enumerate(names):
        cells.text(0, column, name)
    number = 1
    while page := answer.fetchmany(PAGE):
        session.go_on()
        for row in page:
            for column, value in enumerate(row):
                if value is not None:
                    cells.write(number, column, value)
            number += 1
    workbook.close()


class _Cells:
    """Writes values by their kind."""

    def __init__(self, sheet: Worksheet, day: Format, moment: Format, names: list[str]) -> None:
        self._sheet, self._day, self._moment, self._names = sheet, day, moment, names
        self._kinds: dict[type, Callable[[int, int, Any], object]] = {
            bool: sheet.write_boolean, int: self._whole, float: self._real, Decimal: self._decimal, date: self._date,
            datetime: self._datetime, str: self.text,
        }  # fmt: skip

    def write(self, row: int, column: int, value: Any) -> None:
        """Raises TooLarge."""
        self._kinds.get(type(value), self.text)(row, column, value)

    def text(self, row: int, column: int, value: object) -> None:
        text = str(value)
        if len(text) > MOST_TEXT:
            raise TooLarge(
                f"a text in the column {self._names[column]} has {len(text):,} characters, and a cell holds"
                f" {MOST_TEXT:,}; ask for csv or parquet"
            )
        self._sheet.write_string(row, column, text)

    def _whole(self, row: int, column: int, value: int) -> None:
        fits = abs(value) < 10**MOST_DIGITS
        (self._sheet.write_number if fits else self.text)(row, column, value)

    def _real(self, row: int, column: int, value: float) -> None:
        (self._sheet.write_number if math.isfinite(value) else self.text)(row, column, value)

    def _decimal(self, row: int, column: int, value: Decimal) -> None:
        if len(value.as_tuple().digits) <= MOST_DIGITS:
            self._sheet.write_number(row, column, float(value))
        else:
            self.text(row, column, format(value, "f"))

    def _date(self, row: int, column: int, value: date) -> None:
        if value >= FIRST_DAY:
            self._sheet.write_datetime(row, column, value, self._day)
        else:
            self.text(row, column, value)

    def _datetime(self, row: int, column: int, value: datetime) -> None:
        if value.date() >= FIRST_DAY and value.microsecond % 1000 == 0:
            self._sheet.write_datetime(row, column, value, self._moment)
        else:
            self.text(row, column, value.isoformat())
