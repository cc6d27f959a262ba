"""Reads a request's JSON into structs and reports every problem at once.

msgspec stops at the first error; a person who fills in a form wants all of them. This walks the same type
information that msgspec checks by, so a struct stays the only description of its fields. `null` means
absent. A struct adds rules across fields with `rules`; text adds its own with `Meta(extra={"check": …})`.
A body without a fault is read in C, to the same value (`events.validation_quick`).
No message repeats the value of a field that is marked `Meta(extra={"secret": True})`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, ClassVar, Final, TypeVar, overload
from uuid import UUID

import msgspec
from msgspec import inspect

from events.validation_quick import quick_reader
from events.validation_words import expected, extra_of, listed, not_a_field, shown, token, unfit_text

Kind = TypeVar("Kind")
INVALID: Final = object()
"""Stands in `rules` for a field that was given and does not fit; it equals nothing else."""
STORED_INTEGERS = (-(2**63), 2**63 - 1)
EXACT_FLOATS = 2**53
"""Above it an integer would lose digits as a floating-point number."""


class Problem(msgspec.Struct, frozen=True):
    """What is wrong at one place of a body: an RFC 6901 pointer, and a message with the remedy."""

    pointer: str
    message: str


class Invalid(ValueError):
    """A body does not fit; `problems` has all of its problems, in the order of the body's fields."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.pointer}: {problem.message}" for problem in problems))
        self.problems = problems


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that a client may send."""

    json_schema: ClassVar[Mapping[str, Any]] = {}
    """What its JSON Schema says beyond the fields' types: examples, and those of `rules` that it can say."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = None
    """What may stand for a faulty required field, in JSON, while the rest of the body is judged (`service.mending`);
    no check has anything against it. None where a faulty body is not judged further."""

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        """Problems between fields, with pointers relative to this struct.

        `given` has the fields that were sent, by their JSON names: decoded, or INVALID.
        """
        yield from ()


@overload
def decode(kind: type[Kind], source: object, at: str = "") -> Kind: ...
@overload
def decode(kind: Any, source: object, at: str = "") -> Any: ...
def decode(kind: Any, source: object, at: str = "") -> Any:
    """The value of `kind` (a struct, a union of them, any annotation) that `source` describes.

    `source` is JSON as bytes, or what a JSON decoder made of it. `at` is the pointer of `source` itself.
    Raises Invalid with every problem.
    """
    if isinstance(source, bytes) and (value := quick_reader(kind, Body)(source)) is not None:
        return value
    return read_with_problems(kind, source, at)


def read_with_problems(kind: Any, source: object, at: str = "") -> Any:
    """What `decode` answers and raises, by the reader that finds every problem."""
    found: list[Problem] = []
    value = _parsed(source, at) if isinstance(source, bytes | bytearray | memoryview) else source
    result = _read(_type_information(kind), value, at, found)
    if found:
        raise Invalid(found)
    return result


_type_information = cache(inspect.type_info)


def _parsed(source: bytes | bytearray | memoryview, at: str) -> object:
    try:
        return msgspec.json.decode(source)
    except (ValueError, RecursionError) as error:
        try:
            # The standard library lets lone surrogates and huge numbers pass: so we can say where they are.
            return json.loads(str(source, "utf-8"), parse_constant=_refused_constant)
        except (ValueError, RecursionError):
            raise Invalid([Problem(at, f"is not JSON in UTF-8 ({error}); send a JSON object")]) from None


def _refused_constant(name: str) -> object:
    raise ValueError(name)


def _read(kind: inspect.Type, value: Any, at: str, found: list[Problem]) -> Any:
    """The decoded value, or INVALID after adding at least one problem to `found`."""
    extra = extra_of(kind)
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.UnionType():
            return _read_union(kind, value, at, found)
        case inspect.StructType() if isinstance(value, dict):
            return _read_struct([kind], value, at, found)
        case inspect.DictType() if isinstance(value, dict):
            return _read_dict(kind, value, at, found)
        case inspect.ListType() | inspect.VarTupleType() if isinstance(value, list | tuple):
            if _within(len(value), kind.min_length, kind.max_length):
                return _read_items(kind, value, at, found)
        case inspect.AnyType():
            return _read_anything(value, at, found)
    if isinstance(value, str) and (unfit := unfit_text(value)):
        return _refuse(found, at, unfit)
    result = _read_scalar(kind, value)
    if result is INVALID:
        given = "what was given" if extra.get("secret") else shown(value)
        return _refuse(found, at, f"must be {extra.get('expected') or expected(kind)}, not {given}")
    message = extra["check"](result) if "check" in extra else None
    return _refuse(found, at, message) if message else result


def _read_items(kind: inspect.ListType | inspect.VarTupleType, value: Any, at: str, found: list[Problem]) -> Any:
    items = [_read(kind.item_type, item, f"{at}/{index}", found) for index, item in enumerate(value)]
    if any(item is INVALID for item in items):
        return INVALID
    return items if isinstance(kind, inspect.ListType) else tuple(items)


def _read_scalar(kind: inspect.Type, value: Any) -> Any:
    """The decoded value, or INVALID. A number like 7.0 is whole; a boolean is never a number."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    match kind:
        case inspect.BoolType() if isinstance(value, bool):
            return value
        case inspect.IntType() if number and value == int(value):
            if _within(int(value), kind.ge, kind.le) and _within(int(value), *STORED_INTEGERS):
                return int(value)
        case inspect.FloatType() if number and _within(value, kind.ge, kind.le):
            if isinstance(value, float) or abs(value) <= EXACT_FLOATS:
                return float(value)
        case inspect.StrType() if isinstance(value, str):
            if _within(len(value), kind.min_length, kind.max_length) and _matches(kind.pattern, value):
                return value
        case inspect.LiteralType():
            return next((choice for choice in kind.values if _same(choice, value)), INVALID)
        case inspect.DateType() | inspect.DateTimeType() | inspect.UUIDType() if isinstance(value, str):
            return _read_textual(kind, value)
    return INVALID


def _matches(pattern: str | None, text: str) -> bool:
    """As JSON Schema has it: anywhere in the text, and `$` is its very end, not the place before a last line
    break, as it is for Python."""
    if pattern is None:
        return True
    if pattern.endswith("$"):
        pattern = pattern[:-1] + r"\Z"
    return re.search(pattern, text) is not None


def _read_textual(kind: inspect.Type, text: str) -> Any:
    """The date, time or UUID in the forms of RFC 3339 and RFC 9562 alone, or INVALID."""
    try:
        result = msgspec.convert(text, _TEXTUAL[type(kind)])
    except msgspec.ValidationError:
        return INVALID
    if isinstance(result, UUID) and len(text) != len(str(result)):
        return INVALID
    naive = isinstance(kind, inspect.DateTimeType) and kind.tz and result.tzinfo is None
    return INVALID if naive else result


_TEXTUAL: dict[type, Any] = {
    inspect.DateType: date,
    inspect.DateTimeType: datetime,
    inspect.UUIDType: UUID,
}


def _read_union(kind: inspect.UnionType, value: Any, at: str, found: list[Problem]) -> Any:
    if value is None and any(isinstance(option, inspect.NoneType) for option in kind.types):
        return None
    options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
    if isinstance(value, float):  # 7.0 stays a float where both would do
        options.sort(key=lambda option: not isinstance(option, inspect.FloatType))
    structs = [option for option in options if isinstance(option, inspect.StructType)]
    if structs and (isinstance(value, dict) or len(structs) == len(options)):
        if isinstance(value, dict):
            return _read_struct(structs, value, at, found)
        return _refuse(found, at, f"must be an object, not {shown(value)}")
    if len(options) == 1:
        return _read(options[0], value, at, found)
    attempts: list[list[Problem]] = []
    for option in options:
        attempts.append([])
        result = _read(option, value, at, attempts[-1])
        if result is not INVALID:
            return result
    # The option that got furthest into the value, or found something other than the wrong kind of value.
    inner = [problems for problems in attempts if any(problem.pointer != at for problem in problems)]
    if isinstance(value, str) and (unfit := unfit_text(value)):
        inner += [problems for problems in attempts if problems[0].message == unfit]
    if inner:
        found.extend(inner[0])
        return INVALID
    wanted = ", or ".join(dict.fromkeys(expected(option) for option in options))
    return _refuse(found, at, f"must be {wanted}, not {shown(value)}")


def _read_struct(options: list[inspect.StructType], value: dict[Any, Any], at: str, found: list[Problem]) -> Any:
    """One of `options`, told apart by their tag. With a bad tag the fields are still checked."""
    before = len(found)
    present = {str(name): item for name, item in value.items() if item is not None}
    chosen, tag_field = options[:1], options[0].tag_field
    if tag_field is not None:
        tag = present.pop(tag_field, None)
        chosen = [option for option in options if _same(option.tag, tag)]
        if not chosen:
            wanted = listed([option.tag for option in options])
            problem = f"is missing; give {wanted}" if tag is None else f"must be {wanted}, not {shown(tag)}"
            _refuse(found, f"{at}/{token(tag_field)}", problem)
    fields = {field.encode_name: field for option in chosen or options for field in option.fields}
    given: dict[str, Any] = {}
    for name, field in fields.items():
        if name in present:
            given[name] = _read(field.type, present[name], f"{at}/{token(name)}", found)
        elif field.required and chosen:
            _refuse(found, f"{at}/{token(name)}", f"is missing; give {expected(field.type)}")
    for name in present:
        if name not in fields and options[0].forbid_unknown_fields:
            _refuse(found, f"{at}/{token(name)}", not_a_field(name, fields, options))
    if not chosen:
        return INVALID
    cls: Any = chosen[0].cls
    if issubclass(cls, Body):
        found.extend(Problem(at + rule.pointer, rule.message) for rule in cls.rules(given))
    if len(found) > before:
        return INVALID
    return cls(**{fields[name].name: item for name, item in given.items()})


def _read_dict(kind: inspect.DictType, value: dict[Any, Any], at: str, found: list[Problem]) -> Any:
    before = len(found)
    result: dict[Any, Any] = {}
    for name, item in value.items():
        if item is not None:
            pointer = f"{at}/{token(str(name))}"
            result[_read(kind.key_type, name, pointer, found)] = _read(kind.value_type, item, pointer, found)
    return INVALID if len(found) > before else result


def _read_anything(value: Any, at: str, found: list[Problem]) -> Any:
    """The value unchanged, if all of it can be kept; a stack of its own, as nobody limits the depth."""
    before = len(found)
    rest = [(at, value)]
    while rest:
        pointer, item = rest.pop()
        if isinstance(item, str) and (unfit := unfit_text(item)):
            _refuse(found, pointer, unfit)
        elif isinstance(item, int) and not _within(item, *STORED_INTEGERS):
            _refuse(found, pointer, f"must be a number from {STORED_INTEGERS[0]} to {STORED_INTEGERS[1]}")
        elif isinstance(item, float) and not math.isfinite(item):
            _refuse(found, pointer, "must be a finite number")
        elif isinstance(item, dict):
            rest += [(f"{pointer}/{token(str(name))}", name) for name in item]
            rest += [(f"{pointer}/{token(str(name))}", member) for name, member in item.items()]
        elif isinstance(item, list | tuple):
            rest += [(f"{pointer}/{index}", member) for index, member in enumerate(item)]
    return INVALID if len(found) > before else value


def _refuse(found: list[Problem], at: str, message: str) -> Any:
    found.append(Problem(at, message))
    return INVALID


def _within(number: float, lowest: float | None, highest: float | None) -> bool:
    return (lowest is None or number >= lowest) and (highest is None or number <= highest)


def _same(choice: object, value: object) -> bool:
    return type(choice) is type(value) and choice == value
