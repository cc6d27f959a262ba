"""Columns that change between segments: matched by name, widened, and no value lost."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.results.drift import MOST, drift_header
from service.results.read import SegmentResult, write_table
from service.results.schema import Column, Unified, common_type, unify
from service.results.tables import sql_name, sql_text


@pytest.mark.parametrize(
    ("types", "common"),
    [
        (("BIGINT", "BIGINT"), "BIGINT"),
        (("TINYINT", "INTEGER", "SMALLINT"), "INTEGER"),
        (("INTEGER", "DOUBLE"), "DOUBLE"),
        (("FLOAT", "DOUBLE"), "DOUBLE"),
        (("BIGINT", "DECIMAL(10,2)"), "DECIMAL(21,2)"),
        (("DECIMAL(18,4)", "DECIMAL(20,1)"), "DECIMAL(23,4)"),
        (("DECIMAL(38,0)", "DECIMAL(10,2)"), "VARCHAR"),
        (("DECIMAL(10,2)", "DOUBLE"), "VARCHAR"),
        (("DATE", "TIMESTAMP"), "TIMESTAMP"),
        (("DATE", "BIGINT"), "VARCHAR"),
        (("BOOLEAN", "BIGINT"), "VARCHAR"),
        (("VARCHAR", "BIGINT"), "VARCHAR"),
    ],
)
def test_the_common_type_holds_every_value_of_each(types: tuple[str, ...], common: str) -> None:
    assert common_type([Column("a", type) for type in types]) == common
    assert common_type([Column("a", type) for type in reversed(types)]) == common


def test_whole_numbers_that_no_floating_point_number_equals_become_text_with_them() -> None:
    assert common_type([Column("a", "BIGINT"), Column("a", "DOUBLE")]) == "DOUBLE"
    assert common_type([Column("a", "BIGINT", within_double=False), Column("a", "DOUBLE")]) == "VARCHAR"


def test_columns_have_the_order_and_the_names_of_the_newest() -> None:
    columns = unify([(Column("B", "BIGINT"), Column("new", "DATE")), (Column("a", "VARCHAR"), Column("b", "DOUBLE"))])
    assert [(column.name, column.type, column.missing) for column in columns] == [
        ("B", "DOUBLE", 0), ("new", "DATE", 1), ("a", "VARCHAR", 1)
    ]  # fmt: skip
    assert all(column.drifted for column in columns)
    assert not any(column.drifted for column in unify([(Column("a", "DATE"),), (Column("a", "DATE"),)]))


def test_the_header_says_what_drifted_in_any_letters_and_never_grows_too_long() -> None:
    drifted = [
        Unified("spend", "DOUBLE", ("BIGINT", "DOUBLE"), ("spend", "Spend"), 0),
        Unified('say "ü%"', "DATE", ("DATE",), ('say "ü%"',), 3),
        Unified('a"b\\c', "DATE", ("DATE",), ('a"b\\c',), 1),
    ]
    assert drift_header(drifted) == (
        '"spend";types="BIGINT DOUBLE";as="DOUBLE";names="spend Spend",'
        ' %"say %22%c3%bc%25%22";missing=3, "a\\"b\\\\c";missing=1'
    )
    many = drift_header([Unified(f"column {n}", "DATE", ("DATE",), ("x",), 1) for n in range(1000)])
    assert len(many) < MOST + 1000
    assert many.endswith('"...";more=' + str(1000 - many.count("missing")))


# Values of each kind that a result may have, as SQL reads them back from text.
WHOLES = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
KINDS = [*WHOLES, "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "VARCHAR", "DECIMAL(9,2)", "DECIMAL(38,10)"]
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))


def values(kind: str) -> st.SearchStrategy[Any]:
    if kind in WHOLES:
        edge = 2 ** (WHOLES[kind] - 1)
        return st.integers(-edge, edge - 1)
    if kind.startswith("DECIMAL"):
        precision, scale = (int(part) for part in kind[8:-1].split(","))
        edge = 10**precision - 1
        return st.integers(-edge, edge).map(lambda number: Decimal(f"{number}E-{scale}"))
    return {
        "DOUBLE": st.floats(),
        "BOOLEAN": st.booleans(),
        "DATE": DAYS,
        "TIMESTAMP": st.datetimes(),
        "VARCHAR": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    }[kind]


columns = st.lists(
    st.tuples(st.sampled_from(["a", "A", "b", "c", "segment_start", "file_index"]), st.sampled_from(KINDS)),
    unique_by=lambda column: column[0].lower(),
    min_size=1,
    max_size=4,
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[tuple[Any, ...]]]:
    """The columns of a segment's result, and its rows."""
    drawn = draw(columns)
    cell = [st.none() | values(kind) for _, kind in drawn]
    return drawn, draw(st.lists(st.tuples(*cell), max_size=3))


def same(found: Any, value: Any) -> bool:
    """Whether what was read back is the value, in its own type or as text that says the same."""
    if value is None or found is None:
        return found is value
    if isinstance(value, float) and math.isnan(value):
        return math.isnan(float(found))
    if isinstance(found, str) and not isinstance(value, str):
        if isinstance(value, bool):
            return found == str(value).lower()
        read = value.fromisoformat if isinstance(value, date) else type(value)
        return bool(read(found) == value)
    if isinstance(value, date) and not isinstance(value, datetime) and isinstance(found, datetime):
        return found == datetime.combine(value, time.min)
    return bool(found == value)  # Python compares whole numbers, decimals and floats exactly


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(tables(), min_size=1, max_size=4))
async def test_whatever_the_schemas_no_column_and_no_value_is_lost(
    tmp_path: Path, segments: list[tuple[list[tuple[str, str]], list[tuple[Any, ...]]]]
) -> None:
    results = []
    with duckdb.connect() as database:
        for number, (drawn, rows) in enumerate(segments):
            file = tmp_path / f"{number}.parquet"
            made = ", ".join(f"{sql_name(name)} {kind}" for name, kind in drawn)
            database.execute(f"CREATE OR REPLACE TABLE made ({made})")
            if rows:
                inserted = ", ".join([f"({', '.join('?' * len(drawn))})"] * len(rows))
                database.execute(f"INSERT INTO made VALUES {inserted}", [cell for row in rows for cell in row])
            database.execute(f"COPY made TO {sql_text(str(file))} (FORMAT parquet)")
            day = date(2025, 1, 1) + timedelta(days=number)
            results.append(SegmentResult(day, day, 1, file))
        target = tmp_path / "table.parquet"
        drifted = await write_table(results, "parquet", target)
        answer = database.execute(f"SELECT * FROM {sql_text(str(target))}")
        names = [each[0].lower() for each in answer.description or ()]
        read = answer.fetchall()
    assert len(read) == sum(len(rows) for _, rows in segments)
    kept = iter(read)
    for number, (drawn, rows) in enumerate(segments):
        for row in rows:
            found = dict(zip(names, next(kept), strict=True))
            assert found.pop("segment_start") == date(2025, 1, 1) + timedelta(days=number)
            there = {name.lower().replace("segment_start", "segment_start_1"): value
                     for (name, _), value in zip(drawn, row, strict=True)}  # fmt: skip
            assert all(same(found[name], value) for name, value in there.items()), (found, there)
            assert all(found[name] is None for name in found.keys() - there - {"segment_end", "segment_version"})
    shapes = [[(name, kind) for name, kind in drawn] for drawn, _ in segments]
    assert bool(drifted) == any(sorted(shape) != sorted(shapes[0]) for shape in shapes)
