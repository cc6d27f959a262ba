"""SQL with its parameters filled in: DuckDB reads back the values from it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.types.workflow import DeclaredParameter
from service.workflows.filled import fill, filled_sql
from service.workflows.parameters import check_values

# DuckDB's text holds everything but U+0000, which no request may hold either.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


def read_back(sql: str) -> Any:
    row = duckdb.execute(sql).fetchone()
    assert row is not None
    return row[0]


@given(TEXTS)
def test_any_text_comes_back_as_it_was(text: str) -> None:
    sql = filled_sql("SELECT CUSTOM_PARAMETER('p')", [DeclaredParameter("p")], {"p": text})
    assert read_back(sql) == text


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_list_comes_back_as_it_was(texts: list[str]) -> None:
    sql = filled_sql("SELECT CUSTOM_PARAMETER('p')", [DeclaredParameter("p", "ARRAY")], {"p": texts})
    assert read_back(sql) == texts


@pytest.mark.parametrize(
    ("data_type", "value", "literal", "meaning"),
    [
        ("STRING", "it's", "'it''s'", "it's"),
        ("BOOLEAN", "true", "TRUE", True),
        ("BOOLEAN", False, "FALSE", False),
        ("INTEGER", 7, "7", 7),
        ("LONG", "9223372036854775807", "9223372036854775807", 2**63 - 1),
        ("SHORT", -7, "(-7)", -7),
        ("DECIMAL", "1.50", "1.5", Decimal("1.5")),
        ("DOUBLE", 0.25, "0.25", Decimal("0.25")),
        ("DATE", "2025-01-31", "DATE '2025-01-31'", date(2025, 1, 31)),
        ("TIMESTAMP", "2025-01-31T09:00:00", "TIMESTAMP '2025-01-31 09:00:00'", datetime(2025, 1, 31, 9)),  # noqa: DTZ001
        ("BINARY", "aGk=", "X'6869'", None),
        ("CALENDAR_INTERVAL", "P14D", "'P14D'", "P14D"),
        ("ARRAY", ["a", "b"], "ARRAY['a', 'b']", ["a", "b"]),
    ],
)
def test_each_type_has_its_literal(data_type: str, value: Any, literal: str, meaning: object) -> None:
    declared = [DeclaredParameter("p", data_type)]
    cleaned, problems = check_values(declared, {"p": value})
    assert problems == []
    assert filled_sql("SELECT CUSTOM_PARAMETER('p')", declared, cleaned) == f"SELECT {literal}"
    if meaning is not None:
        assert read_back(f"SELECT {literal}") == meaning


def test_literals_and_comments_stay_as_they_are() -> None:
    sql = """SELECT 'CUSTOM_PARAMETER(''p'')', "CUSTOM_PARAMETER('p')", -- CUSTOM_PARAMETER('p')
    /* CUSTOM_PARAMETER('p') */ custom_parameter( 'p' ) FROM t WHERE x = '"' AND y = CUSTOM_PARAMETER('q')"""
    declared = [DeclaredParameter("p", default="d"), DeclaredParameter("q", "INTEGER")]
    filled = fill(sql, declared, {"q": 1})
    assert filled.sql == sql.replace("custom_parameter( 'p' )", "'d'").replace("= CUSTOM_PARAMETER('q')", "= 1")
    assert [(span.name, filled.sql[span.start : span.end]) for span in filled.spans] == [("p", "'d'"), ("q", "1")]


def test_what_has_no_value_or_declaration_stays_a_call() -> None:
    sql = "SELECT CUSTOM_PARAMETER('a'), CUSTOM_PARAMETER('b'), CUSTOM_PARAMETER(c)"
    assert filled_sql(sql, [DeclaredParameter("a")], {}) == sql


def test_a_value_is_never_filled_in_again() -> None:
    sql = "SELECT CUSTOM_PARAMETER('a') AS a, CUSTOM_PARAMETER('b') AS b"
    filled = filled_sql(sql, [DeclaredParameter("a"), DeclaredParameter("b")], {"a": "CUSTOM_PARAMETER('b')", "b": "x"})
    assert filled == "SELECT 'CUSTOM_PARAMETER(''b'')' AS a, 'x' AS b"


def test_a_negative_number_after_a_minus_makes_no_comment() -> None:
    sql = "SELECT 1 -CUSTOM_PARAMETER('n')"
    assert read_back(filled_sql(sql, [DeclaredParameter("n", "INTEGER")], {"n": -5})) == 6


def test_a_value_that_does_not_fit_is_shown_in_quotes() -> None:
    declared = [DeclaredParameter("n", "INTEGER"), DeclaredParameter("l", "ARRAY")]
    filled = filled_sql("SELECT CUSTOM_PARAMETER('n'), CUSTOM_PARAMETER('l')", declared, {"n": "1; DROP", "l": "x"})
    assert filled == "SELECT '1; DROP', ARRAY['x']"


@given(
    st.lists(st.sampled_from(["CUSTOM_PARAMETER('p')", "CUSTOM_PARAMETER('é')", "'x'", "--\n", " \U0001f600 ", ","]))
)
def test_spans_are_where_the_values_stand(pieces: list[str]) -> None:
    declared = [DeclaredParameter("p"), DeclaredParameter("é", "ARRAY")]
    sql = " ".join(pieces)
    filled = fill(sql, declared, {"p": "v'\U0001f600", "é": ["1"]})
    literals = {"p": "'v''\U0001f600'", "é": "ARRAY['1']"}
    for span in filled.spans:
        assert filled.sql[span.start : span.end] == literals[span.name]
    assert filled.spans == tuple(sorted(filled.spans, key=lambda span: span.start))
    assert len(filled.spans) == sum(piece.startswith("CUSTOM") for piece in pieces)
