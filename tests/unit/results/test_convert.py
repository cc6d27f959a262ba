"""AMC's CSV to Parquet: quoting, nulls and types as amc.md has them, and nothing rounded or dropped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from events.types.segment import ResultColumn
from service.results.convert import csv_to_parquet
from service.results.parts import BadResult


def column(name: str, type: str = "STRING", precision: int | None = None, scale: int | None = None) -> ResultColumn:
    return ResultColumn(name, type, precision, scale)


Convert = Callable[..., Any]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Converts parts of a result; answers the rows as Parquet has them."""

    async def convert(columns: list[ResultColumn], *parts: str | bytes) -> list[tuple[Any, ...]]:
        files = []
        for number, part in enumerate(parts):
            files.append(tmp_path / f"part-{number}.csv")
            files[-1].write_bytes(part.encode() if isinstance(part, str) else part)
        target = tmp_path / "result.parquet"
        converted = await csv_to_parquet(files, columns, target)
        with duckdb.connect() as database:
            rows = database.execute(f"SELECT * FROM '{target}'").fetchall()
        assert len(rows) == converted.rows
        return rows

    return convert


async def test_quoted_fields_hold_commas_lines_quotes_and_backslashes(convert: Convert) -> None:
    rows = await convert(
        [column("a"), column("b")],
        'a,b\n"x, y","one\ntwo"\n"say \\"hi\\"","back\\\\slash"\nback\\\\slash,"\\\\"\n',
    )
    assert rows == [("x, y", "one\ntwo"), ('say "hi"', "back\\slash"), ("back\\slash", "\\")]


async def test_doubled_quotes_are_read_too(convert: Convert) -> None:
    assert await convert([column("a")], 'a\n"say ""hi"""\n') == [('say "hi"',)]
    assert await convert([column("a")], 'a\n"say ""hi"""\n"a \\" b"\n') == [('say "hi"',), ('a " b',)]


@pytest.mark.parametrize("escaped", ["", 'a\\"b'])
async def test_empty_fields_are_null_and_other_text_stays_as_it_is(convert: Convert, escaped: str) -> None:
    columns = [column("a"), column("n", "LONG"), column("b")]
    rows = await convert(columns, f'a,n,b\n,,\n"",1,  x \n#no,2,NULL\nü 日本 \U0001f600,3,"{escaped}"\n')
    assert rows == [
        (None, None, None),
        (None, 1, "  x "),
        ("#no", 2, "NULL"),
        ("ü 日本 \U0001f600", 3, escaped.replace("\\", "") or None),
    ]


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "a,b\r\n", '"a","b"\n'])
async def test_a_header_alone_is_an_empty_result_with_its_columns(convert: Convert, tmp_path: Path, text: str) -> None:
    assert await convert([column("a"), column("b", "DATE")], text) == []
    with duckdb.connect() as database:
        described = database.execute(f"DESCRIBE SELECT * FROM '{tmp_path / 'result.parquet'}'").fetchall()
    assert [(row[0], row[1]) for row in described] == [("a", "VARCHAR"), ("b", "DATE")]


async def test_parts_each_have_their_header(convert: Convert) -> None:
    rows = await convert([column("n", "LONG")], "n\n1\n2\n", "n\n", "n\n3\n")
    assert sorted(rows) == [(1,), (2,), (3,)]


async def test_types_are_kept(convert: Convert, tmp_path: Path) -> None:
    columns = [
        column("day", "DATE"),
        column("moment", "TIMESTAMP"),
        column("yes", "BOOLEAN"),
        column("money", "DECIMAL", 20, 4),
        column("count", "LONG"),
        column("small", "BYTE"),
        column("share", "DOUBLE"),
        column("float", "FLOAT"),
        column("free", "DECIMAL"),
        column("other", "CALENDAR_INTERVAL"),
    ]
    header = ",".join(each.name for each in columns)
    rows = await convert(
        columns,
        f"{header}\n2025-01-31,2025-01-31T23:59:59.123,TRUE,12345678901234.5678,9007199254740993,-128,0.1,0.1,1.50,P1D\n"
        "2024-02-29,2024-02-29T00:00:00.000Z,false,-0.5,-9223372036854775808,127,1e300,-2.5E-3,7,P2D\n",
    )
    first, second = rows
    assert first[0] == date(2025, 1, 31)
    assert first[1].isoformat() == "2025-01-31T23:59:59.123000"
    assert first[2:6] == (True, Decimal("12345678901234.5678"), 9007199254740993, -128)
    assert first[6:] == (0.1, 0.1, "1.50", "P1D")
    assert second[1].isoformat() == "2024-02-29T00:00:00"
    assert second[2:6] == (False, Decimal("-0.5000"), -(2**63), 127)
    assert second[6:] == (1e300, -2.5e-3, "7", "P2D")
    with duckdb.connect() as database:
        described = database.execute(f"DESCRIBE SELECT * FROM '{tmp_path / 'result.parquet'}'").fetchall()
    assert {row[0]: row[1] for row in described}["money"] == "DECIMAL(20,4)"


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("LONG", "1.5"),
        ("LONG", "one"),
        ("LONG", "9223372036854775808"),
        ("LONG", "1_000"),
        ("INTEGER", "2147483648"),
        ("BYTE", "128"),
        ("DOUBLE", "1,5"),
        ("BOOLEAN", "yes"),
        ("DATE", "31/01/2025"),
        ("DATE", "2025-02-30"),
        ("DATE", "2025-01-31T10:00:00"),
        ("TIMESTAMP", "2025-01-31"),
        ("TIMESTAMP", "2025-01-31T10:00:00+02:00"),
    ],
)
async def test_a_value_that_its_type_cannot_hold_is_named_and_never_rounded(
    convert: Convert, type: str, value: str
) -> None:
    with pytest.raises(BadResult) as error:
        await convert([column("a"), column("spend", type)], f'a,spend\nx,\nx,"{value}"\n')
    assert value in str(error.value)
    assert "spend" in str(error.value)


async def test_a_decimal_finer_than_announced_is_refused_and_zeros_are_not_finer(convert: Convert) -> None:
    money = [column("money", "DECIMAL", 10, 2)]
    assert await convert(money, "money\n1.2300\n.5\n7.\n+3\n") == [
        (Decimal(text),) for text in ("1.23", "0.50", "7.00", "3.00")
    ]
    for value in ("1.239", "123456789.00"):
        with pytest.raises(BadResult, match=value):
            await convert(money, f"money\n{value}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,c\n1,2\n", "a,c"),
        ("b,a\n1,2\n", "announced the columns a, b"),
        ("a\n1\n", "announced the columns a, b"),
        ("1,2\n", "1,2"),
        ("", "''"),
        ("a,b\n1,2\n3\n", "Line: 3"),
        ("a,b\n1,2,3\n", "1,2,3"),
        ('a,b\n"x,2\n', "quote"),
        ('a,b\n"x\\"y,2\n', "unexpected end"),
        (b"a,b\n\xff,1\n", "utf-8"),
        (b"a,b\n\xff\\,1\n", "utf-8"),
    ],
)
async def test_what_is_not_the_announced_csv_is_quoted(convert: Convert, text: str | bytes, said: str) -> None:
    with pytest.raises(BadResult) as error:
        await convert([column("a"), column("b")], text)
    assert said.lower() in str(error.value).lower()


async def test_one_bad_part_fails_the_whole(convert: Convert) -> None:
    with pytest.raises(BadResult, match="announced"):
        await convert([column("a")], "a\n1\n", "b\n2\n")


async def test_column_names_may_be_anything_but_twice_the_same(convert: Convert) -> None:
    columns = [column("a, b"), column("it's"), column('"q"'), column("select")]
    assert await convert(columns, '"a, b",it\'s,"\\"q\\"",select\n1,2,3,4\n') == [("1", "2", "3", "4")]
    with pytest.raises(BadResult, match="same name"):
        await convert([column("spend"), column("Spend")], "spend,Spend\n1,2\n")
