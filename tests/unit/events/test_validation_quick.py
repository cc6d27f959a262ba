"""A body without a fault is read in C: to the value that the reader of every fault gives, or it is left to that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from events import validation
from events.configurations import ParametersStep, ScheduleStep
from events.validation import Body, Invalid
from events.validation_quick import quick_reader
from service.builder.collections import CreateCollection
from service.builder.models import CreateReport, Submit, SubmitConfiguration
from service.schedules.models import ChangeSchedule, CreateSchedule
from service.workflows.models import CreateWorkflow

KINDS = [
    ParametersStep, ScheduleStep, CreateReport, SubmitConfiguration, CreateCollection, CreateSchedule, ChangeSchedule,
    CreateWorkflow,
]  # fmt: skip

ODD = st.sampled_from(
    [
        None, True, False, 0, 1, 7, -1, 7.0, 1.5, 1e19, 1e300, 2**31, 2**53 + 1, 2**63, 10**30, "", "x", "x" * 201, "7",
        "UTC", "Asia/Kolkata", "Mars/Olympus", "09:00", "24:00", "09:00\n", "2025-01-31", "2025-02-30", "2025-1-1",
        "2025-01-31T09:00:00Z", "2025-01-31T09:00:00", "3f0c1d5e7a424b7e9c115d3a8e6f2b90",
        "3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90", "~p1.x", "a\0", "\ud800", "é😀", "null", [], ["a"], [1, 2], [""], {},
        {"a": 1}, {"type": "relative"}, "f" * 64,
    ]
)  # fmt: skip


def documents(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """What mostly fits the kind, and sometimes does not."""
    fitting = _fitting(kind)
    return st.one_of(*[fitting] * 30, ODD)


def _fitting(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.Metadata():
            return _fitting(kind.type)
        case inspect.UnionType():
            return st.one_of([_fitting(option) for option in kind.types])
        case inspect.StructType():
            return _objects(kind)
        case inspect.ListType() | inspect.VarTupleType():
            return st.lists(documents(kind.item_type), max_size=3)
        case inspect.DictType():
            return st.dictionaries(st.sampled_from(["a", "b", "~p1.", "a\0", "\ud800"]), documents(kind.value_type))
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.IntType():
            return st.integers(0, 40)
        case inspect.FloatType():
            return st.floats(0, 40)
        case inspect.BoolType():
            return st.booleans()
        case inspect.DateType():
            return st.sampled_from(["2025-01-31", "2024-02-29"])
        case inspect.StrType():
            return st.sampled_from(["a", "UTC", "09:00", "asin", "a" * 64])
    return ODD


def _objects(kind: inspect.StructType) -> st.SearchStrategy[dict[str, Any]]:
    required = {field.encode_name: documents(field.type) for field in kind.fields if field.required}
    optional = {field.encode_name: documents(field.type) for field in kind.fields if not field.required}
    optional["strange"] = ODD
    if kind.tag_field is not None:
        required[kind.tag_field] = st.one_of(st.just(kind.tag), st.just(kind.tag), st.just(kind.tag), ODD)
    some = st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=4)

    def chosen(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(required | {name: optional[name] for name in names if name != "strange"})

    strange = st.tuples(st.sampled_from([0] * 9 + [1]), ODD)
    return st.builds(
        lambda document, more: document | ({"strange": more[1]} if more[0] else {}), some.flatmap(chosen), strange
    )


def _text(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Invalid:
        return None


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(data=st.data())
def test_what_is_read_in_c_is_what_the_reader_of_every_fault_gives(kind: Any, data: st.DataObject) -> None:
    source = _text(data.draw(documents(inspect.type_info(kind))))
    slow = _outcome(lambda: validation.read_with_problems(kind, source))
    quick = quick_reader(kind, Body)(source)
    assert quick is None or (repr(quick), msgspec.json.encode(quick)) == (repr(slow), msgspec.json.encode(slow))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_read_in_c_where_nothing_is_wrong(kind: Any) -> None:
    """The examples of the contract, which all are right."""
    for found in _examples(kind):
        assert quick_reader(kind, Body)(_text(found)) is not None


@pytest.mark.parametrize(
    "source",
    [
        b'{"name": "a", "name": 7}',
        b'{"name": 7, "name": "a"}',
        b'{"name": "a\\n"}',
        b'{"name": "\\u007ep1.a"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": null}',
        b'{"name": NaN}',
        b"[]",
        b"",
        b"7",
        b'{"name": "a"} {}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_odd_documents_have_one_outcome(source: bytes) -> None:
    quick = quick_reader(CreateReport, Body)(source)
    assert quick is None or quick == _outcome(lambda: validation.read_with_problems(CreateReport, source))


def test_a_digest_ends_where_its_text_ends() -> None:
    assert quick_reader(Submit, Body)(b'{"digest": "' + b"a" * 64 + b'\\n"}') is None
    assert quick_reader(Submit, Body)(b'{"digest": "' + b"a" * 64 + b'"}') is not None


def _examples(kind: Any) -> list[Mapping[str, Any]]:
    described = inspect.type_info(kind)
    options = described.types if isinstance(described, inspect.UnionType) else (described,)
    return [found for option in options for found in option.cls.json_schema.get("examples", ())]  # type: ignore[attr-defined]
