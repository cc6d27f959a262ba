"""Reads a request's JSON into structs and reports every problem at once.

msgspec stops at the first error; a person who fills in a form wants all of them. This walks the same type
information that msgspec checks by, so a struct stays the only description of its fields. `null` means
absent. A struct adds rules across fields with `rules`; text adds its own with `Meta(extra={"check": …})`.
No message repeats the value of a field that is marked `Meta(extra={"secret": True})`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, TypeVar, overload
from uuid import UUID

import msgspec
from msgspec import inspect

Kind = TypeVar("Kind")
INVALID: Final = object()
"""Stands in `rules` for a field that was given and does not fit; it equals nothing else."""
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
STORED_INTEGERS = (-(2**63), 2**63 - 1)
EXACT_FLOATS = 2**53
"""Above it an integer would lose digits as a floating-point number."""
_UNWRITABLE_TEXT = "holds U+0000 or half of a surrogate pair; remove that character"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong at one place of a body: an RFC 6901 pointer, and a message with the remedy."""

    pointer: str
    message: str


class Invalid(ValueError):
    """A body does not fit; `problems` has all of its problems, in the order of the body's fields."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.pointer}: {problem.message}" for problem in problems))
        self.problems = problems


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that a client may send."""

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
    extra = _extra(kind)
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.UnionType():
            return _read_union(kind, value, at, found)
        case inspect.StructType() if isinstance(value, dict):
            return _read_struct([kind], value, at, found)
        case inspect.DictType() if isinstance(value, dict):
            return _read_dict(kind, value, at, found)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType() if isinstance(
            value, list | tuple
        ) and _within(len(value), kind.min_length, kind.max_length):
            items = [_read(kind.item_type, item, f"{at}/{index}", found) for index, item in enumerate(value)]
            return INVALID if any(item is INVALID for item in items) else _CONTAINERS[type(kind)](items)
        case inspect.AnyType():
            return _read_anything(value, at, found)
    if isinstance(value, str) and UNWRITABLE.search(value):
        return _refuse(found, at, _UNWRITABLE_TEXT)
    result = _read_scalar(kind, value)
    if result is INVALID:
        given = "what was given" if extra.get("secret") else _shown(value)
        return _refuse(found, at, f"must be {extra.get('expected') or _expected(kind)}, not {given}")
    message = extra["check"](result) if "check" in extra else None
    return _refuse(found, at, message) if message else result


_CONTAINERS: dict[type, Callable[[list[Any]], Any]] = {
    inspect.ListType: list,
    inspect.VarTupleType: tuple,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}


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
            if _within(len(value), kind.min_length, kind.max_length) and re.search(kind.pattern or "", value):
                return value
        case inspect.LiteralType():
            return next((choice for choice in kind.values if _same(choice, value)), INVALID)
        case inspect.EnumType():
            return next((choice for choice in kind.cls if _same(choice.value, value)), INVALID)
        case inspect.DateType() | inspect.DateTimeType() | inspect.UUIDType() if isinstance(value, str):
            try:
                result = msgspec.convert(value, _TEXTUAL[type(kind)])
            except msgspec.ValidationError:
                return INVALID
            naive = isinstance(kind, inspect.DateTimeType) and kind.tz and result.tzinfo is None
            return INVALID if naive else result
    return INVALID


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
        return _refuse(found, at, f"must be an object, not {_shown(value)}")
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
    inner += [problems for problems in attempts if problems[0].message == _UNWRITABLE_TEXT]
    if inner:
        found.extend(inner[0])
        return INVALID
    expected = ", or ".join(dict.fromkeys(_expected(option) for option in options))
    return _refuse(found, at, f"must be {expected}, not {_shown(value)}")


def _read_struct(options: list[inspect.StructType], value: dict[Any, Any], at: str, found: list[Problem]) -> Any:
    """One of `options`, told apart by their tag. With a bad tag the fields are still checked."""
    before = len(found)
    present = {str(name): item for name, item in value.items() if item is not None}
    chosen, tag_field = options[:1], options[0].tag_field
    if tag_field is not None:
        tag = present.pop(tag_field, None)
        chosen = [option for option in options if _same(option.tag, tag)]
        if not chosen:
            wanted = _listed([option.tag for option in options])
            problem = f"is missing; give {wanted}" if tag is None else f"must be {wanted}, not {_shown(tag)}"
            _refuse(found, f"{at}/{_token(tag_field)}", problem)
    fields = {field.encode_name: field for option in chosen or options for field in option.fields}
    given: dict[str, Any] = {}
    for name, field in fields.items():
        if name in present:
            given[name] = _read(field.type, present[name], f"{at}/{_token(name)}", found)
        elif field.required and chosen:
            _refuse(found, f"{at}/{_token(name)}", f"is missing; give {_expected(field.type)}")
    for name in present:
        if name not in fields and options[0].forbid_unknown_fields:
            _refuse(found, f"{at}/{_token(name)}", _stranger(name, fields, options))
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
            pointer = f"{at}/{_token(str(name))}"
            result[_read(kind.key_type, name, pointer, found)] = _read(kind.value_type, item, pointer, found)
    return INVALID if len(found) > before else result


def _read_anything(value: Any, at: str, found: list[Problem]) -> Any:
    """The value unchanged, if all of it can be kept; a stack of its own, as nobody limits the depth."""
    before = len(found)
    rest = [(at, value)]
    while rest:
        pointer, item = rest.pop()
        if isinstance(item, str) and UNWRITABLE.search(item):
            _refuse(found, pointer, _UNWRITABLE_TEXT)
        elif isinstance(item, int) and not _within(item, *STORED_INTEGERS):
            _refuse(found, pointer, f"must be a number from {STORED_INTEGERS[0]} to {STORED_INTEGERS[1]}")
        elif isinstance(item, float) and not math.isfinite(item):
            _refuse(found, pointer, "must be a finite number")
        elif isinstance(item, dict):
            rest += [(f"{pointer}/{_token(str(name))}", name) for name in item]
            rest += [(f"{pointer}/{_token(str(name))}", member) for name, member in item.items()]
        elif isinstance(item, list | tuple):
            rest += [(f"{pointer}/{index}", member) for index, member in enumerate(item)]
    return INVALID if len(found) > before else value


def _extra(kind: inspect.Type) -> dict[str, Any]:
    return (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}


def _refuse(found: list[Problem], at: str, message: str) -> Any:
    found.append(Problem(at, message))
    return INVALID


def _within(number: float, lowest: float | None, highest: float | None) -> bool:
    return (lowest is None or number >= lowest) and (highest is None or number <= highest)


def _same(choice: object, value: object) -> bool:
    return type(choice) is type(value) and choice == value


def _token(name: str) -> str:
    """The name as a pointer's reference token, escaped by RFC 6901 and printable."""
    return _printable(name).replace("~", "~0").replace("/", "~1")


def _printable(text: str) -> str:
    return UNWRITABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _shown(value: object) -> str:
    """The value as a message quotes it: JSON, short, and safe to encode."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list" if value else "an empty list"
    if isinstance(value, int) and value.bit_length() > 128:
        return "such a large number"
    text = _printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else text[:59] + "…"


def _listed(choices: Iterable[object]) -> str:
    """`"a", "b" or "c"`."""
    *others, last = [_shown(choice) for choice in choices]
    return f"{', '.join(others)} or {last}" if others else last


def _stranger(name: str, fields: Mapping[str, Any], options: list[inspect.StructType]) -> str:
    homes = [option.tag for option in options if any(field.encode_name == name for field in option.fields)]
    if homes:
        return f'goes with "{options[0].tag_field}" {_listed(homes)}; remove it, or change that'
    known = [options[0].tag_field, *fields] if options[0].tag_field else list(fields)
    similar = get_close_matches(name, known, 1) if len(name) < 60 else []
    if similar:
        return f'is not a field here; did you mean "{similar[0]}"?'
    return f"is not a field here; remove it, the fields are {', '.join(known)}"


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return _extra(kind).get("expected") or _expected(kind.type)
        case inspect.UnionType():
            options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
            return ", or ".join(dict.fromkeys(_expected(option) for option in options))
        case inspect.IntType() | inspect.FloatType():
            noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            if kind.ge is not None and kind.le is not None:
                return f"{noun} from {kind.ge} to {kind.le}"
            return noun if kind.ge is None else f"{noun} of at least {kind.ge}"
        case inspect.StrType():
            if kind.max_length:
                return f"text in quotes of {kind.min_length or 0} to {kind.max_length} characters"
            return "text in quotes that is not empty" if kind.min_length else "text in quotes"
        case inspect.LiteralType():
            return _listed(kind.values)
        case inspect.EnumType():
            return _listed(choice.value for choice in kind.cls)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            least = f" of at least {kind.min_length}" if kind.min_length else ""
            most = f" of at most {kind.max_length}" if kind.max_length else ""
            return f"a list{least}{most}, each {_expected(kind.item_type)}"
    return _NOUNS.get(type(kind), "another kind of value")


_NOUNS: dict[type, str] = {
    inspect.BoolType: "true or false",
    inspect.DateType: 'a date of the calendar like "2025-01-31"',
    inspect.DateTimeType: 'a date and time with its offset like "2025-01-31T09:00:00Z"',
    inspect.UUIDType: "a UUID in quotes",
    inspect.StructType: "an object",
    inspect.DictType: "an object",
    inspect.AnyType: "a value",
}
