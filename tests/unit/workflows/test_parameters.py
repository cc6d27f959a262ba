"""Parameter values: what each type takes, how it is kept, and that every mistake is named."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.types.workflow import TYPE_NAMES, DeclaredParameter
from service.workflows.kinds import KINDS, kind_of
from service.workflows.parameters import (
    MAX_ITEM,
    MAX_LINES,
    check_defaults,
    check_values,
    effective_values,
)
from service.workflows.scalars import INTEGERS, MAX_TEXT

ASINS = ["B08N5WRWNW", "B000000001", "0306406152"]


def declared(data_type: str = "STRING", name: str = "p", **more: Any) -> DeclaredParameter:
    return DeclaredParameter(name, data_type, **more)


def kept(data_type: str, value: object, **more: Any) -> Any:
    """The value as it is kept; it must fit."""
    parameter = declared(data_type, **more)
    cleaned, problems = check_values([parameter], {parameter.name: value})
    assert problems == []
    return cleaned[parameter.name]


def refused(data_type: str, value: object, **more: Any) -> list[tuple[str, str]]:
    """Pointers and messages; it must not fit, and then nothing is kept."""
    parameter = declared(data_type, **more)
    cleaned, problems = check_values([parameter], {parameter.name: value})
    assert problems
    assert cleaned == {}
    return [(problem.pointer, problem.message) for problem in problems]


GOOD: list[tuple[str, object, object]] = [
    ("STRING", "", ""),
    ("STRING", " as it is ", " as it is "),
    ("STRING", "123456789012345678", "123456789012345678"),
    ("STRING", "x" * MAX_TEXT, "x" * MAX_TEXT),
    ("STRING", "a\nb, c", "a\nb, c"),
    ("BOOLEAN", True, True),
    ("BOOLEAN", " False ", False),
    ("BYTE", -128, -128),
    ("BYTE", "127", 127),
    ("SHORT", 32767.0, 32767),
    ("INTEGER", "-2147483648", -2147483648),
    ("INTEGER", "+7", 7),
    ("INTEGER", " 007 ", 7),
    ("LONG", 2**53 - 1, 2**53 - 1),
    ("LONG", "9007199254740992", "9007199254740992"),
    ("LONG", str(-(2**63)), str(-(2**63))),
    ("LONG", "12", 12),
    ("FLOAT", "1e3", 1000.0),
    ("FLOAT", 3.4028234663852886e38, 3.4028234663852886e38),
    ("DOUBLE", 1, 1.0),
    ("DOUBLE", "-.5", -0.5),
    ("DOUBLE", -0.0, 0.0),
    ("DECIMAL", "0012.3400", "12.34"),
    ("DECIMAL", "-0.0", "0"),
    ("DECIMAL", "-00.50", "-0.5"),
    ("DECIMAL", "+.5", "0.5"),
    ("DECIMAL", 1e-7, "0.0000001"),
    ("DECIMAL", 5, "5"),
    ("DECIMAL", "9" * 38, "9" * 38),
    ("DATE", "2024-02-29", "2024-02-29"),
    ("DATE", " 9999-12-31", "9999-12-31"),
    ("TIMESTAMP", "2025-01-31T23:59:59", "2025-01-31T23:59:59"),
    ("TIMESTAMP", "2025-01-31 00:00:00.120", "2025-01-31T00:00:00.12"),
    ("TIMESTAMP", "2025-01-31T00:00:00.000", "2025-01-31T00:00:00"),
    ("CALENDAR_INTERVAL", "P14D", "P14D"),
    ("CALENDAR_INTERVAL", "p1y2m3w4d", "P1Y2M3W4D"),
    ("BINARY", "aGk=", "aGk="),
    ("BINARY", "", ""),
    ("ARRAY", ["a", " b ", "a", "c d"], ["a", "b", "c d"]),
    ("ARRAY", "a b, c\r\nd,\n\na b", ["a b", "c", "d"]),
    ("ARRAY", "one", ["one"]),
]

BAD: list[tuple[str, object, str]] = [
    ("STRING", 123456789012345678, 'write "123456789012345678"'),
    ("STRING", 1.5, "text in quotes"),
    ("STRING", True, "text in quotes"),
    ("STRING", ["a"], "declare it as an ARRAY"),
    ("STRING", "x" * (MAX_TEXT + 1), str(MAX_TEXT)),
    ("BOOLEAN", 1, "true or false"),
    ("BOOLEAN", "yes", "true or false"),
    ("BYTE", 128, "from -128 to 127"),
    ("SHORT", "-32769", "declare a larger type"),
    ("INTEGER", 2**31, "from -2147483648 to 2147483647"),
    ("INTEGER", 1.5, "a whole number"),
    ("INTEGER", "1e3", "a whole number"),
    ("INTEGER", "1_000", "a whole number"),
    ("INTEGER", "١", "a whole number"),
    ("INTEGER", "", "a whole number"),
    ("INTEGER", True, "a whole number"),
    ("LONG", 2**53, 'write it in quotes; write "9007199254740992"'),
    ("LONG", 1e300, "in quotes"),
    ("LONG", str(2**63), "from -9223372036854775808 to 9223372036854775807; give one within it"),
    ("LONG", "9" * 41, "a whole number"),
    ("LONG", math.inf, "a whole number"),
    ("FLOAT", 1e39, "beyond"),
    ("DOUBLE", "1e999", "beyond"),
    ("DOUBLE", "NaN", "a number"),
    ("DOUBLE", math.nan, "a number"),
    ("DOUBLE", 10**400, "a number"),
    ("DECIMAL", "1e3", "plain digits"),
    ("DECIMAL", ".", "plain digits"),
    ("DECIMAL", "9" * 39, "38 digits"),
    ("DECIMAL", 2**53 + 2, "in quotes"),
    ("DATE", "2025-02-30", "2025-02 has the days 01 to 28"),
    ("DATE", "2025-13-01", "2025-13, which does not exist"),
    ("DATE", "0000-01-01", "does not exist"),
    ("DATE", "2025-1-1", '"2025-01-31"'),
    ("DATE", 20250101, '"2025-01-31"'),
    ("DATE", "2025-01-01T00:00:00", '"2025-01-31"'),
    ("TIMESTAMP", "2025-01-31", '"2025-01-31T00:00:00"'),
    ("TIMESTAMP", "2025-01-31T00:00:00Z", "without Z"),
    ("TIMESTAMP", "2025-01-31T00:00:00+01:00", "without Z or offset"),
    ("TIMESTAMP", "2025-01-31T24:00:00", "which no day has"),
    ("TIMESTAMP", "2025-01-31T23:59:60", "which no day has"),
    ("TIMESTAMP", "2025-06-31T00:00:00", "2025-06 has the days 01 to 30"),
    ("CALENDAR_INTERVAL", "P", "period"),
    ("CALENDAR_INTERVAL", "PT1H", "period"),
    ("CALENDAR_INTERVAL", "14 days", "period"),
    ("BINARY", "aGk", "padding"),
    ("BINARY", "ä", "Base64"),
    ("BINARY", 1, "Base64"),
    ("ARRAY", [], "at least one value"),
    ("ARRAY", " \n,\n", "at least one value"),
    ("ARRAY", 7, "a list of texts"),
    ("ARRAY", True, "a list of texts"),
    ("ARRAY", {"a": 1}, "a list of texts"),
    ("ARRAY", ["a"] * (MAX_LINES + 1), str(MAX_LINES)),
]


@pytest.mark.parametrize(("data_type", "value", "expected"), GOOD)
def test_a_value_that_fits_is_kept_in_one_spelling(data_type: str, value: object, expected: object) -> None:
    result = kept(data_type, value)
    assert result == expected
    assert type(result) is type(expected)
    assert math.copysign(1, result) == 1 if result == 0.0 and isinstance(result, float) else True


@pytest.mark.parametrize(("data_type", "value", "remedy"), BAD)
def test_a_value_that_does_not_fit_is_refused_with_the_remedy(data_type: str, value: object, remedy: str) -> None:
    ((pointer, message),) = refused(data_type, value)
    assert pointer == "/parameters/p"
    assert remedy in message


def test_every_type_of_amc_has_its_cases() -> None:
    types = {*TYPE_NAMES, "ARRAY"}
    assert {case[0] for case in GOOD} == types
    assert {case[0] for case in BAD} == types


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["p", "asins", "campaign_id", "entityIds"])


@given(st.sampled_from([*TYPE_NAMES, "ARRAY", "WHAT"]), ANY_JSON, NAMES)
def test_whatever_is_given_is_kept_or_refused_and_what_is_kept_stays_as_it_is(
    data_type: str, value: object, name: str
) -> None:
    parameter = declared(data_type, name, default="x")
    cleaned, problems = check_values([parameter], {name: value})
    assert bool(problems) + (name in cleaned) + (value is None) == 1
    assert check_values([parameter], cleaned) == (cleaned, [])
    assert all(problem.pointer.startswith(f"/parameters/{name}") for problem in problems)


@given(st.sampled_from(sorted(INTEGERS)), st.integers(-(2**70), 2**70))
def test_integers_are_taken_in_their_types_range_alone(data_type: str, number: int) -> None:
    bits = INTEGERS[data_type]
    cleaned, problems = check_values([declared(data_type)], {"p": str(number)})
    assert (problems == []) == (-(2 ** (bits - 1)) <= number < 2 ** (bits - 1))
    if cleaned:
        assert int(str(cleaned["p"])) == number
        # What a browser reads from the JSON is the same number.
        assert isinstance(cleaned["p"], str) or int(float(json.dumps(cleaned["p"]))) == number


@given(st.integers(1, 9999), st.integers(1, 13), st.integers(0, 32))
def test_dates_are_taken_where_the_calendar_has_them(year: int, month: int, day: int) -> None:
    try:
        date(year, month, day)
        exists = True
    except ValueError:
        exists = False
    text = f"{year:04}-{month:02}-{day:02}"
    for data_type, value in (("DATE", text), ("TIMESTAMP", f"{text}T12:00:00")):
        assert (check_values([declared(data_type)], {"p": value})[1] == []) == exists


def test_a_year_of_dates_is_taken_as_it_is() -> None:
    for offset in range(366):
        text = (date(2024, 1, 1) + timedelta(days=offset)).isoformat()
        assert kept("DATE", text) == text


LINE = st.text(st.characters(exclude_characters="\r\n,"), max_size=12)


@given(st.lists(LINE, min_size=1, max_size=30), st.sampled_from(["\n", "\r\n", ",", "\r", ", ", ",\n"]))
def test_a_pasted_text_is_the_same_list_as_its_lines(lines: list[str], separator: str) -> None:
    pasted = check_values([declared("ARRAY")], {"p": separator.join(lines)})
    listed = check_values([declared("ARRAY")], {"p": lines})
    assert pasted == listed
    wanted = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    assert pasted[0].get("p", []) == wanted


@given(st.lists(st.sampled_from([*ASINS, "b08n5wrwnw", "B08N5WRWN", "x", "", " ", "B08N5WRWNÄ"]), max_size=40))
def test_every_bad_line_of_a_list_is_named_and_no_other(lines: list[str]) -> None:
    wrong = [index for index, line in enumerate(lines) if line.strip() and line not in ASINS]
    parameter = declared("ARRAY", "asins")
    cleaned, problems = check_values([parameter], {"asins": lines})
    if wrong:
        assert [problem.pointer for problem in problems] == [f"/parameters/asins/{index}" for index in wrong]
    elif any(line.strip() for line in lines):
        assert cleaned == {"asins": list(dict.fromkeys(line for line in lines if line in ASINS))}
    else:
        assert [problem.pointer for problem in problems] == ["/parameters/asins"]
    pasted = check_values([parameter], {"asins": "\n".join(lines)})[1]
    if wrong:
        assert pasted == problems


def test_lines_of_a_pasted_list_have_the_numbers_that_an_editor_shows() -> None:
    lines = ASINS * 6
    lines[17] = "B-WRONG"
    assert [pointer for pointer, _ in refused("ARRAY", "\n".join(lines), name="asins")] == ["/parameters/asins/17"]
    pasted = "B08N5WRWNW,\n\n  B000000001 ; nope\tB08N5WRWNW ,zero"
    assert [pointer for pointer, _ in refused("ARRAY", pasted, name="asins")] == [
        "/parameters/asins/3",
        "/parameters/asins/5",
    ]


def test_items_of_a_list_must_be_texts_of_a_bounded_length() -> None:
    problems = refused("ARRAY", ["a", 7, True, 1.5, "x" * (MAX_ITEM + 1), None])
    assert [pointer for pointer, _ in problems] == [f"/parameters/p/{index}" for index in (1, 2, 3, 4, 5)]
    assert 'write "7"' in problems[0][1]
    assert str(MAX_ITEM) in problems[3][1]


@pytest.mark.parametrize("separator", [" ", ",", "\n", ";", ", ", " ,\n", "\t"])
def test_a_huge_pasted_list_is_refused_at_once(separator: str) -> None:
    # With a second look at any of its characters this would not end.
    pasted = separator * (400_000 // len(separator))
    refused("ARRAY", pasted + "x", name="asins")
    refused("ARRAY", pasted.strip() or ",", name="texts")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asin", "asin"),
        ("asins", "asin"),
        ("ASIN", "asin"),
        ("asin_list", "asin"),
        ("trackedAsins", "asin"),
        ("parent-asin", "asin"),
        ("campaign_id", "campaign_id"),
        ("campaignIds", "campaign_id"),
        ("CAMPAIGN_IDS", "campaign_id"),
        ("campaign_id_string", "campaign_id"),
        ("sp_campaign_id_list", "campaign_id"),
        ("ad_group_ids", "ad_group_id"),
        ("adGroupId", "ad_group_id"),
        ("adgroup_id", "ad_group_id"),
        ("lineItemIds", "line_item_id"),
        ("creative_id", "creative_id"),
        ("advertiserId", "advertiser_id"),
        ("entity_ids", "entity_id"),
        ("campaign_name", "text"),
        ("campaigns", "text"),
        ("basins", "text"),
        ("asin_count", "text"),
        ("id", "text"),
        ("_", "text"),
    ],
)
def test_a_name_tells_the_kind(name: str, kind: str) -> None:
    assert kind_of(declared(name=name)) == kind
    assert kind_of(declared("ARRAY", name)) == kind
    assert kind_of(declared(name=name, kind="text")) == "text"
    assert kind_of(declared("DATE", name)) == "text"


ID_CASES = [
    ("campaign_id", "123456789012345678", True),
    ("campaign_id", "1", True),
    ("campaign_id", "1.23E+17", False),
    ("campaign_id", "12 34", False),
    ("campaign_id", "1" * 21, False),
    ("campaign_id", "-5", False),
    ("campaign_id", "", False),
    ("entity_id", "ENTITY1A2B", True),
    ("entity_id", "ENTITY", False),
    ("asin", "B08N5WRWNW", True),
    ("asin", "080442957X", True),
    ("asin", "A08N5WRWNW", False),
    ("asin", "B08N5WRWNW\u200b", False),
]


@pytest.mark.parametrize(("kind", "text", "fits"), ID_CASES)
def test_ids_are_checked_by_their_form(kind: str, text: str, fits: bool) -> None:
    if fits:
        assert kept("STRING", f" {text} ", kind=kind) == text
        assert kept("ARRAY", [text], kind=kind) == [text]
    else:
        assert [pointer for pointer, _ in refused("STRING", text, kind=kind)] == ["/parameters/p"]


def test_what_cannot_be_seen_is_shown_where_it_spoils_an_id() -> None:
    ((_, message),) = refused("STRING", "B08N5WRWNW\ufeff", kind="asin")
    assert "\\ufeff" in message


def test_an_asin_in_small_letters_is_refused_with_the_one_to_write() -> None:
    ((_, message),) = refused("STRING", "b08n5wrwnw", name="asin")
    assert '"B08N5WRWNW"' in message


def test_an_id_is_text_also_where_it_is_declared_a_number() -> None:
    assert kept("LONG", "123", name="campaign_id") == "123"
    assert kept("LONG", "123456789012345678", name="campaign_id") == "123456789012345678"
    ((_, message),) = refused("LONG", 123, name="campaign_id")
    assert 'write "123"' in message
    assert kept("LONG", 123, name="campaign_id", kind="text") == 123
    refused("LONG", "-5", name="campaign_id")


def test_all_problems_come_together_each_at_its_place() -> None:
    parameters = [declared("ARRAY", "asins"), declared("DATE", "since"), declared(name="brand"), declared("LONG", "n")]
    values = {"asins": "x\ny", "since": "never", "sinse": 1, "a/b~c": "1", "n": None}
    _, problems = check_values(parameters, values)
    assert [problem.pointer for problem in problems] == [
        "/parameters/asins/0",
        "/parameters/asins/1",
        "/parameters/since",
        "/parameters/sinse",
        "/parameters/a~1b~0c",
        "/parameters/brand",
        "/parameters/n",
    ]
    assert 'did you mean "since"?' in problems[3].message
    assert "it has asins, brand, n, since" in problems[4].message
    assert "no default" in problems[5].message


def test_defaults_stand_in_where_no_value_is_given() -> None:
    parameters = [declared(name="a", default="1"), declared(name="b", default="2")]
    cleaned, problems = check_values(parameters, {"b": "3"})
    assert (cleaned, problems) == ({"b": "3"}, [])
    assert effective_values(parameters, cleaned) == {"a": "1", "b": "3"}


def test_defaults_are_checked_and_kept_as_values_are() -> None:
    parameters = [
        declared("ARRAY", "asins", default="B08N5WRWNW\nB08N5WRWNW"),
        declared("ARRAY", "campaign_ids", default=["1", "x"]),
        declared("DATE", "since", default="2025-02-30"),
        declared("INTEGER", "n", default=" 5"),
        declared("INTEGER", "m", kind="asin"),
        declared("DATE", "d", kind="text"),
    ]
    cleaned, problems = check_defaults(parameters)
    assert [problem.pointer for problem in problems] == [
        "/parameters/1/default/1",
        "/parameters/2/default",
        "/parameters/4/kind",
    ]
    assert (cleaned[0].default, cleaned[3].default) == (["B08N5WRWNW"], 5)


def test_every_kind_says_which_types_it_goes_with() -> None:
    for kind, entry in KINDS.items():
        for data_type in ("STRING", "ARRAY", "LONG", "DATE"):
            _, problems = check_defaults([declared(data_type, kind=kind)])
            assert (problems == []) == (kind == "text" or data_type in entry.types)
