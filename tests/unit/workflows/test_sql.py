"""SQL as text: what is a call and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflows.sql import parameter_calls, placeholders, quoted, tokens, unquoted

SQL_LIKE = st.text(st.sampled_from("'\"-/*( )\n;,CUSTOM_PARAMETERcustom1.[]{}é\U0001f600"), max_size=80)


@given(SQL_LIKE | st.text())
def test_the_pieces_joined_are_the_text_again(sql: str) -> None:
    pieces = list(tokens(sql))
    assert "".join(piece.text for piece in pieces) == sql
    assert all(sql[piece.start : piece.end] == piece.text for piece in pieces)


@given(st.text())
def test_a_text_in_quotes_is_one_literal_whatever_it_holds(text: str) -> None:
    assert unquoted(quoted(text)) == text
    assert [piece.kind for piece in tokens(quoted(text))] == ["text"]
    (call,) = parameter_calls(f"SELECT 1 -- '\n, CUSTOM_PARAMETER({quoted(text)})")
    assert call.name == text


@pytest.mark.parametrize(
    "sql",
    [
        "CUSTOM_PARAMETER('a')",
        "custom_parameter('a')",
        "Custom_Parameter\n(\t'a' )",
        "CUSTOM_PARAMETER /* of ' */ ( -- which?\n 'a' )",
        "x=CUSTOM_PARAMETER('a')+1",
        "''CUSTOM_PARAMETER('a')",
        "1-CUSTOM_PARAMETER('a')",
    ],
)
def test_calls_are_found_however_they_are_written(sql: str) -> None:
    (call,) = parameter_calls(sql)
    assert call.name == "a"
    assert sql[call.start : call.end].upper().startswith("CUSTOM_PARAMETER")
    assert sql[call.start : call.end].endswith(")")


@pytest.mark.parametrize(
    "sql",
    [
        "-- CUSTOM_PARAMETER('a')",
        "/* CUSTOM_PARAMETER('a') */",
        "/* CUSTOM_PARAMETER('a')",
        "'CUSTOM_PARAMETER(''a'')'",
        "'CUSTOM_PARAMETER(",
        "\"CUSTOM_PARAMETER('a')\"",
        "MY_CUSTOM_PARAMETER('a')",
        "CUSTOM_PARAMETERS('a')",
        "SELECT CUSTOM_PARAMETER FROM t",
        "CUSTOM_PARAMETER",
        "''' CUSTOM_PARAMETER(''a'')'",
        "",
    ],
)
def test_what_only_looks_like_a_call_is_none(sql: str) -> None:
    assert parameter_calls(sql) == []


@pytest.mark.parametrize("inner", ["", "a", '"a"', "'a', 'b'", "'a'", "CONCAT('a')", "1", "'a"])
def test_a_call_of_anything_but_one_literal_has_no_name(inner: str) -> None:
    (call,) = parameter_calls(f"SELECT CUSTOM_PARAMETER({inner})")
    assert call.name == ("a" if inner == "'a'" else None)


def test_placeholders_are_found_where_tools_put_them() -> None:
    sql = "SELECT {{b}}, '{{ a }}' -- {{start.date}}\n, {{b}}, {{ two words }}, {x}, {{}}, {{'}}, {{%}}"
    assert placeholders(sql) == ["a", "b", "start.date", "two words"]


@pytest.mark.parametrize("text", ["'", "''", '"', "/*", "/**", "--", "(", "CUSTOM_PARAMETER(", "a", "é", "\n", "{{"])
def test_any_text_is_read_in_one_pass(text: str) -> None:
    # With a second look at what it has read, a hundred thousand characters would take hours.
    sql = text * (100_000 // len(text))
    assert sum(len(piece.text) for piece in tokens(sql)) == len(sql)
    parameter_calls(sql)
    placeholders(sql)
