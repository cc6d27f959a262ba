"""Parameter values against what a workflow declares. Pure.

A value is accepted as JSON has it or as text, and kept in one spelling per value, so that equal values are
equal: whole numbers, FLOAT and DOUBLE as numbers, DECIMAL and dates as text, lists trimmed and without
repetitions. A LONG beyond 2^53 and every id is text: as numbers they would lose digits in a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from events.configurations import ParameterValue
from events.personal import ERASED
from events.types.workflow import DeclaredParameter
from events.validation import Problem
from service.workflows.kinds import KINDS, kind_of
from service.workflows.scalars import BadValue, quotes_for, read_scalar, shown

MAX_ITEM = 1_000
"""Characters of one text of a list."""
MAX_LINES = 10_000
"""Lines or items of a list, before repetitions are removed."""


def check_values(
    declared: Sequence[DeclaredParameter], values: Mapping[str, object], at: str = "/parameters"
) -> tuple[dict[str, ParameterValue], list[Problem]]:
    """The values as they are to be recorded and sent, and every problem.

    Pointers begin with `at`; that of a list's line ends with its number from 0, counted as given, also where
    the list came as one text. None is no value. Defaults are not filled in: see `effective_values`.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    cleaned: dict[str, ParameterValue] = {}
    problems: list[Problem] = []
    for name, value in values.items():
        if value is None:
            continue
        if (parameter := by_name.get(name)) is None:
            problems.append(Problem(_pointer(at, name), _stranger(name, list(by_name))))
        elif (result := _checked(parameter, value, _pointer(at, name), problems)) is not None:
            cleaned[name] = result
    problems += [
        Problem(_pointer(at, name), "is missing, and the workflow has no default for it")
        for name, parameter in by_name.items()
        if parameter.default is None and values.get(name) is None
    ]
    return cleaned, problems


def effective_values(
    declared: Sequence[DeclaredParameter], values: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """What the SQL reads: the values, and the defaults of parameters without one."""
    defaults = {parameter.name: parameter.default for parameter in declared if parameter.default is not None}
    return {**defaults, **values}


def check_defaults(
    declared: Sequence[DeclaredParameter], at: str = "/parameters"
) -> tuple[tuple[DeclaredParameter, ...], list[Problem]]:
    """The declarations with their defaults as they are to be recorded, and every problem with them, or with a
    `kind` that does not go with its type."""
    problems: list[Problem] = []
    cleaned = []
    for index, parameter in enumerate(declared):
        if parameter.kind not in (None, "text") and parameter.type_name not in KINDS[parameter.kind].types:
            types = " or ".join(KINDS[parameter.kind].types)
            problems.append(Problem(f"{at}/{index}/kind", f'goes with {types}; remove it, or take the kind "text"'))
        elif parameter.personal and parameter.default is not None:
            remedy = "it would be in the workflow for all to read; remove it, or declare the parameter as not personal"
            problems.append(Problem(f"{at}/{index}/default", f"is of a personal parameter: {remedy}"))
        elif parameter.default is not None:
            default = _checked(parameter, parameter.default, f"{at}/{index}/default", problems)
            parameter = msgspec.structs.replace(parameter, default=default)
        cleaned.append(parameter)
    return tuple(cleaned), problems


def _checked(parameter: DeclaredParameter, value: object, at: str, problems: list[Problem]) -> ParameterValue | None:
    """The value in its one spelling; None after adding to `problems`."""
    try:
        if parameter.personal and value == ERASED:
            raise BadValue("was erased, with the person who gave it; give a value of your own")
        if parameter.type_name == "ARRAY":
            return _list(parameter, value, at, problems)
        return read_scalar(parameter, value)
    except BadValue as error:
        problems.append(Problem(at, str(error)))
        return None


def _list(parameter: DeclaredParameter, value: object, at: str, problems: list[Problem]) -> list[str] | None:
    kind = KINDS[kind_of(parameter)]
    if isinstance(value, str):
        value = kind.separator.split(value)
    if not isinstance(value, list | tuple):
        raise BadValue(f'takes a list of texts, not {shown(value)}; write it like ["a", "b"]')
    if len(value) > MAX_LINES:
        raise BadValue(f"has {len(value)} lines, more than the {MAX_LINES} that a list may have; split the report")
    before = len(problems)
    kept: dict[str, None] = {}
    for index, line in enumerate(value):
        try:
            if item := _item(line, kind.check):
                kept[item] = None
        except BadValue as error:
            problems.append(Problem(f"{at}/{index}", str(error)))
    if len(problems) > before:
        return None
    if not kept:
        raise BadValue("holds nothing; give at least one value, or leave it out where it has a default")
    return list(kept)


def _item(line: object, check: Callable[[str], str | None]) -> str:
    """The line without the space around it; empty where there is nothing else."""
    if not isinstance(line, str):
        raise BadValue(f"must be text in quotes{quotes_for(line)}, not {shown(line)}")
    item = line.strip()
    if len(item) > MAX_ITEM:
        raise BadValue(f"has {len(item)} characters, more than the {MAX_ITEM} of a list's text; shorten it")
    if item and (problem := check(item)):
        raise BadValue(problem)
    return item


def _stranger(name: str, known: list[str]) -> str:
    similar = get_close_matches(name, known, 1) if len(name) < 100 else []
    if similar:
        return f'the workflow declares no such parameter; did you mean "{similar[0]}"?'
    return f"the workflow declares no such parameter; it has {', '.join(sorted(known)) or 'none'}"


def _pointer(at: str, name: str) -> str:
    """RFC 6901: `~` and `/` of a name are escaped."""
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
