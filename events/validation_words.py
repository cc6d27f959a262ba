"""What validation says: how a type, a value and a remedy are put in words, and names as JSON pointers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import inspect

from events.personal import PREFIX

UNWRITABLE = re.compile("[\0\ud800-\udfff]")
UNWRITABLE_TEXT = "holds U+0000 or half of a surrogate pair; remove that character"
RESERVED_TEXT = f"holds {PREFIX}, with which the service's own sealed texts begin; remove it"


def extra_of(kind: inspect.Type) -> dict[str, Any]:
    """What a field's `Meta` says beyond msgspec's own words: `expected`, `check`, `component`."""
    return (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}


def unfit_text(text: str) -> str | None:
    """What is wrong with a text, wherever it comes: that it cannot be kept, or could be taken for a sealed one."""
    if UNWRITABLE.search(text):
        return UNWRITABLE_TEXT
    return RESERVED_TEXT if PREFIX in text else None


def token(name: str) -> str:
    """The name as a pointer's reference token, escaped by RFC 6901 and printable."""
    return printable(name).replace("~", "~0").replace("/", "~1")


def printable(text: str) -> str:
    """The text with what cannot be stored or sent written as an escape."""
    return UNWRITABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(value: object) -> str:
    """The value as a message quotes it: JSON, short, and safe to encode."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list" if value else "an empty list"
    if isinstance(value, int) and value.bit_length() > 128:
        return "such a large number"
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else text[:59] + "…"


def listed(choices: Iterable[object]) -> str:
    """`"a", "b" or "c"`."""
    *others, last = [shown(choice) for choice in choices]
    return f"{', '.join(others)} or {last}" if others else last


def not_a_field(name: str, fields: Mapping[str, Any], options: list[inspect.StructType]) -> str:
    """What to do with a field that is none of `fields`, or one of another of the `options`."""
    homes = [option.tag for option in options if any(field.encode_name == name for field in option.fields)]
    if homes:
        return f'goes with "{options[0].tag_field}" {listed(homes)}; remove it, or change that'
    known = [options[0].tag_field, *fields] if options[0].tag_field else list(fields)
    similar = get_close_matches(name, known, 1) if len(name) < 60 else []
    if similar:
        return f'is not a field here; did you mean "{similar[0]}"?'
    return f"is not a field here; remove it, the fields are {', '.join(known)}"


def expected(kind: inspect.Type) -> str:
    """What a value of the type is, in words that go on after "must be"."""
    match kind:
        case inspect.Metadata():
            return extra_of(kind).get("expected") or expected(kind.type)
        case inspect.UnionType():
            options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
            return ", or ".join(dict.fromkeys(expected(option) for option in options))
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
            return listed(kind.values)
        case inspect.ListType() | inspect.VarTupleType():
            least = f" of at least {kind.min_length}" if kind.min_length else ""
            most = f" of at most {kind.max_length}" if kind.max_length else ""
            return f"a list{least}{most}, each {expected(kind.item_type)}"
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
