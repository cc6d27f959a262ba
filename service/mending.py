"""Answers all problems of a body at once: those of its form, and those of its meaning.

What a body means can be judged only in the right form. So one with faults of form is mended for the judgement:
what is faulty is left out or, where it must be there, replaced by the class's stand-in; and what is found to be
wrong with the rest is answered beside the faults of form.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from events.validation import Invalid, Problem, decode
from events.validation_words import token
from service.problems import Refused

Kind = TypeVar("Kind")
NOTHING: Final = object()


async def read_body(kind: type[Kind], body: bytes, judge: Callable[[Kind], Awaitable[object]]) -> Kind:
    """The body as `kind`. Raises Invalid with the problems of its form and those for which `judge`, which must
    change nothing, refuses the rest of it. A right form is not judged here."""
    try:
        return decode(kind, body or b"{}")
    except Invalid as error:
        raise Invalid([*error.problems, *await _problems_of_the_rest(kind, body, error.problems, judge)]) from None


async def _problems_of_the_rest(
    kind: Any, body: bytes, found: Sequence[Problem], judge: Callable[[Any], Awaitable[object]]
) -> list[Problem]:
    mending = _Mending({problem.pointer for problem in found})
    try:
        mended = mending.mend(inspect.type_info(kind), msgspec.json.decode(body), "")
        rest = NOTHING if mended is NOTHING else decode(kind, mended)
    except (ValueError, RecursionError):  # no JSON at all, or faults that cannot be mended
        return []
    if rest is NOTHING:
        return []
    try:
        await judge(rest)
    except Refused as refused:
        return [problem for problem in refused.problems if not mending.has_replaced(problem.pointer)]
    return []


class _Mending:
    """Takes the faults out of a document; `faulty` are their pointers, `replaced` those of what had to go."""

    def __init__(self, faulty: set[str]) -> None:
        self._faulty = faulty
        self._replaced: list[str] = []

    def has_replaced(self, pointer: str) -> bool:
        return any(_within(pointer, place) for place in self._replaced)

    def mend(self, kind: inspect.Type, value: Any, at: str) -> Any:
        """The document without its faults, or NOTHING if nothing of it can be kept."""
        if not any(_within(pointer, at) for pointer in self._faulty):
            return value
        struct = _struct_of(kind, value)
        if struct is None or at in self._faulty or struct.cls.stand_ins is None:
            return NOTHING
        rest = {struct.tag_field: struct.tag} if struct.tag_field else {}
        for field in struct.fields:
            name, pointer = field.encode_name, f"{at}/{token(field.encode_name)}"
            member = self.mend(field.type, value[name], pointer) if value.get(name) is not None else NOTHING
            if member is NOTHING:
                if value.get(name) is not None or pointer in self._faulty:
                    self._replaced.append(pointer)
                member = struct.cls.stand_ins.get(name, NOTHING)
            if member is not NOTHING:
                rest[name] = member
            elif field.required:
                return NOTHING
        return rest


def _struct_of(kind: inspect.Type, value: Any) -> Any:
    """The struct that an object of the document is, by its tag; None for everything else."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if not isinstance(value, dict):
        return None
    for option in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        if isinstance(option, inspect.StructType) and (
            option.tag_field is None or value.get(option.tag_field) == option.tag
        ):
            return option
    return None


def _within(pointer: str, place: str) -> bool:
    return pointer == place or pointer.startswith(f"{place}/")
