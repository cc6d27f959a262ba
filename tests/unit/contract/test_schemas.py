"""The JSON Schemas say what the reader of requests does, in both directions."""

from __future__ import annotations

from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from events import configurations
from events.configurations import LookbackConfig, ParametersStep, ScheduleConfig, ScheduleStep, SegmentationConfig
from events.validation import Body, Invalid, decode
from service.contract.schemas import Schemas
from service.endpoints import Answer, Query

KINDS = (LookbackConfig, SegmentationConfig, ScheduleConfig, ScheduleStep, ParametersStep)


def validator_of(kind: Any) -> Any:
    schemas = Schemas(at="#/$defs/")
    schema = schemas.of_request(kind)
    return jsonschema_rs.Draft202012Validator({**schema, "$defs": schemas.components}, validate_formats=True)


VALIDATORS = {kind: validator_of(kind) for kind in KINDS}

DATES = st.sampled_from(["2025-01-01", "2025-01-31", "2025-02-29", "20250101", ""])
WORDS = st.text(max_size=3) | st.sampled_from([
    "relative", "custom", "days", "weeks", "months", "calendar", "trailing", "daily", "weekly", "monthly", "once",
    "scheduled", "backfill", "backfill_with_schedule", "newest_first", "missing", "shift", "skip", "first", "last",
    "latest", "all", "none", "UTC", "Europe/Berlin", "Mars", "09:00", "24:00",
])  # fmt: skip
NUMBERS = st.sampled_from([0, 1, 7, 7.0, 7.5, 31, 32, -1, 2**31, 2**63, True])
FIELDS: dict[str, Any] = {
    "type": WORDS, "value": NUMBERS, "unit": WORDS, "align": WORDS, "weekStart": NUMBERS, "dataDelayDays": NUMBERS,
    "startDate": DATES, "endDate": DATES, "week_start": NUMBERS, "parallel_limit": NUMBERS, "retry_failed": NUMBERS,
    "order": WORDS, "frequency": WORDS, "time": WORDS, "timezone": WORDS, "daysOfWeek": st.lists(NUMBERS, max_size=2),
    "dayOfMonth": NUMBERS, "schedule_type": WORDS, "instance_id": WORDS, "workflow_id": WORDS,
    "parameters": st.dictionaries(st.text(max_size=2), WORDS | NUMBERS | st.lists(WORDS, max_size=2), max_size=2),
    "hold_schedule": NUMBERS, "colour": WORDS,
}  # fmt: skip


# The reader takes a null for left out under every name; the schemas allow it under those of the struct alone, as
# types made from them would otherwise have every name there is.
NULLS = {True: st.none(), False: st.nothing()}


def examples_of(struct: type[Body]) -> list[Any]:
    examples: list[Any] = struct.json_schema.get("examples", [])
    return examples


EXAMPLES = [
    (struct, example)
    for struct in vars(configurations).values()
    if isinstance(struct, type) and issubclass(struct, Body)
    for example in examples_of(struct)
]


def mutated(example: Any) -> st.SearchStrategy[Any]:
    """The example with some fields set, added or left out, at any depth."""
    if not isinstance(example, dict):
        return st.just(example)
    inner = st.fixed_dictionaries({name: mutated(value) for name, value in example.items()})
    changes = st.lists(st.sampled_from(sorted(FIELDS)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: FIELDS[name] | NULLS[name in example] for name in names})
    )
    left_out = st.sets(st.sampled_from(sorted(example)), max_size=1)
    return st.builds(
        lambda whole, more, without: {k: v for k, v in (whole | more).items() if k not in without},
        inner, changes, left_out,
    )  # fmt: skip


SOURCES = {
    LookbackConfig: ["RelativeLookback", "CustomLookback"],
    SegmentationConfig: ["SegmentationConfig"],
    ScheduleConfig: ["DailySchedule", "WeeklySchedule", "MonthlySchedule"],
    ScheduleStep: ["OnceStep", "BackfillStep"],
    ParametersStep: ["ParametersStep"],
}


@given(st.data())
@settings(max_examples=300, derandomize=True)
def test_what_the_schema_allows_is_read_and_the_reverse(data: st.DataObject) -> None:
    kind: Any = data.draw(st.sampled_from(KINDS))
    example = data.draw(st.sampled_from([example for struct, example in EXAMPLES if struct.__name__ in SOURCES[kind]]))
    body = data.draw(mutated(example))
    problems = []
    try:
        decode(kind, msgspec.json.encode(body))
    except Invalid as error:
        # The one rule that JSON Schema cannot say: which of two dates is later.
        problems = [problem for problem in error.problems if "swap them" not in problem.message]
    assert VALIDATORS[kind].is_valid(body) == (not problems), problems


@pytest.mark.parametrize(("struct", "example"), EXAMPLES)
def test_an_example_fits(struct: type[Body], example: Any) -> None:
    assert validator_of(struct).is_valid(example)
    decode(struct, example)


def test_null_unknown_fields_and_text_are_as_the_reader_takes_them() -> None:
    class Example(Body, frozen=True, kw_only=True):
        name: Annotated[str, Meta(max_length=3)]
        note: str | None = None
        tags: tuple[str, ...] = ()

    fits = validator_of(Example).is_valid
    assert fits({"name": "abc", "note": None, "tags": None})
    for body in (
        {"name": None},
        {"name": "abcd"},
        {"name": "a\0"},
        {"name": "a", "x": 1},
        {"name": "a", "tags": ["\0"]},
    ):
        assert not fits(body)


def test_answers_have_all_of_their_fields() -> None:
    class Example(Answer, frozen=True, kw_only=True):
        count: int = 0
        note: str | None = None

    schemas = Schemas()
    schemas.of_answer(Example)
    assert schemas.components["Example"] == {
        "type": "object",
        "properties": {"count": {"type": "integer", "format": "int64"}, "note": {"type": ["string", "null"]}},
        "required": ["count", "note"],
    }


def test_a_query_has_no_null() -> None:
    class Example(Query, frozen=True, kw_only=True):
        limit: Annotated[int, Meta(ge=1, le=10)] | None = None

    assert list(Schemas().of_query(Example)) == [("limit", False, {"type": "integer", "minimum": 1, "maximum": 10})]


def test_two_structs_of_one_name_are_refused() -> None:
    def struct(field: str) -> Any:
        return msgspec.defstruct("Twin", [(field, int)])

    schemas = Schemas()
    schemas.of_answer(struct("a"))
    with pytest.raises(TypeError, match="named Twin"):
        schemas.of_answer(struct("b"))


def test_what_the_reader_does_not_check_is_refused() -> None:
    with pytest.raises(TypeError, match="ge and le"):
        Schemas().of_request(Annotated[int, Meta(gt=0)])
    with pytest.raises(TypeError, match="no schema"):
        Schemas().of_request(bytes)
