"""SQL with its parameters filled in, for people to read. AMC never gets it: it gets the SQL unchanged, and the
values beside it. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec

from events.configurations import ParameterValue
from events.types.workflow import DeclaredParameter
from service.workflows.parameters import effective_values
from service.workflows.scalars import BadValue, read_scalar
from service.workflows.sql import parameter_calls, quoted


class Span(msgspec.Struct, frozen=True):
    """Where a parameter was filled in: characters (code points) of the filled SQL, the end exclusive."""

    name: str
    start: int
    end: int


class Filled(msgspec.Struct, frozen=True):
    """The SQL to read, and what in it came from parameters, in order."""

    sql: str
    spans: tuple[Span, ...]


def filled_sql(sql: str, declared: Sequence[DeclaredParameter], values: Mapping[str, ParameterValue]) -> str:
    """The SQL with every CUSTOM_PARAMETER('name') as the literal of its value, or of its default."""
    return fill(sql, declared, values).sql


def fill(sql: str, declared: Sequence[DeclaredParameter], values: Mapping[str, ParameterValue]) -> Filled:
    """The same, with the places. Calls in literals and comments are none, and stay; so does the call of a
    parameter that is not declared or has no value."""
    by_name = {parameter.name: parameter for parameter in declared}
    effective = effective_values(declared, values)
    pieces: list[str] = []
    spans: list[Span] = []
    read = length = 0
    for call in parameter_calls(sql):
        if call.name not in by_name or call.name not in effective:
            continue
        literal = _literal(by_name[call.name], effective[call.name])
        if literal.startswith("-"):
            literal = f"({literal})"  # two hyphens would begin a comment
        pieces += (sql[read : call.start], literal)
        start = length + call.start - read
        length, read = start + len(literal), call.end
        spans.append(Span(call.name, start, length))
    return Filled("".join((*pieces, sql[read:])), tuple(spans))


def _literal(parameter: DeclaredParameter, value: ParameterValue) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(quoted(str(item)) for item in value)}]"
    if parameter.type_name == "ARRAY":
        return f"ARRAY[{quoted(str(value))}]"
    try:
        read = read_scalar(parameter, value)
    except BadValue:
        read, form = str(value), "STRING"
    else:
        form = parameter.type_name
    match form:
        case "BOOLEAN":
            return "TRUE" if read else "FALSE"
        case "BYTE" | "SHORT" | "INTEGER" | "LONG" | "DECIMAL" | "FLOAT" | "DOUBLE":
            return str(read)
        case "DATE":
            return f"DATE {quoted(str(read))}"
        case "TIMESTAMP":
            return f"TIMESTAMP {quoted(str(read).replace('T', ' '))}"
        case "BINARY":
            return f"X{quoted(binascii.hexlify(base64.b64decode(str(read))).decode().upper())}"
    return quoted(str(read))
