"""Parameters and AMC's own calls in SQL: taken out of the text, so that no value ever becomes SQL.

`CUSTOM_PARAMETER('x')` becomes a read of a session variable of DuckDB; the variable is set by a bound
statement. The text that DuckDB parses is the author's alone.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

TYPES = {
    "BINARY": "BLOB",
    "CALENDAR_INTERVAL": "INTERVAL",
    "STRING": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "BYTE": "TINYINT",
    "SHORT": "SMALLINT",
    "INTEGER": "INTEGER",
    "LONG": "BIGINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "DECIMAL": "DECIMAL(38, 9)",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
}
BUILT_IN = ("TIME_WINDOW_START", "TIME_WINDOW_END", "TIME_WINDOW_TIME_ZONE")

_PIECES = re.compile(
    r"""
      (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ )
    | (?P<dollar> \$ )
    | \b(?P<call> CUSTOM_PARAMETER | BUILT_IN_PARAMETER ) \s*\(\s* '(?P<name>[^']*)' \s*\)
    | \bEXTEND_TIME_WINDOW \s*\(\s* '(?P<table>\w+)' \s*,
        \s* '(?P<before>P\d{1,3}D)' \s*, \s* '(?P<after>P\d{1,3}D)' \s*\)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class SqlError(ValueError):
    """SQL that AMC would not run, with the text for `statusReason`."""


class Extension(msgspec.Struct, frozen=True):
    """A table read over more than the window: `EXTEND_TIME_WINDOW('table', 'P14D', 'P1D')`."""

    table: str
    before: timedelta
    after: timedelta


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """SQL for DuckDB, with what it reads besides tables."""

    sql: str
    variables: dict[str, tuple[str, object]]
    """Name of a session variable: its DuckDB type and value."""
    extensions: dict[str, Extension]
    """Name of a view: what it extends."""


def rewrite(
    sql: str,
    declared: Sequence[Mapping[str, object]],
    values: Mapping[str, object],
    built_in: Mapping[str, tuple[str, object]],
) -> Rewritten:
    """The SQL with every parameter as a variable. Raises SqlError for one that is not declared."""
    types = {str(parameter.get("name")): parameter for parameter in declared}
    variables: dict[str, tuple[str, object]] = {}
    extensions: dict[str, Extension] = {}

    def replace(piece: re.Match[str]) -> str:
        if piece["skip"]:
            return piece[0]
        if piece["dollar"]:
            # Neither quotes by dollars nor numbered parameters exist in AMC's SQL.
            raise SqlError('Unable to parse query: Encountered "$".')
        if piece["table"]:
            return _extension(piece, extensions)
        name = piece["name"]
        if piece["call"].upper() == "BUILT_IN_PARAMETER":
            if name not in built_in:
                raise SqlError(f"Unable to compile query: built-in parameter '{name}' not found.")
            variables[f"built_in_{BUILT_IN.index(name)}"] = built_in[name]
            return f"getvariable('built_in_{BUILT_IN.index(name)}')"
        if name not in types:
            raise SqlError(f"Unable to compile query: parameter '{name}' is not declared in the workflow.")
        variable = f"custom_{list(types).index(name)}"
        parameter = types[name]
        variables[variable] = typed(parameter, values.get(name, parameter.get("defaultValue")))
        return f"getvariable('{variable}')"

    text = _PIECES.sub(replace, sql).strip()
    return Rewritten(sql=text.rstrip("; \n\t"), variables=variables, extensions=extensions)


def typed(parameter: Mapping[str, object], value: object) -> tuple[str, object]:
    """DuckDB's type for a declared parameter, and the value as text or list of texts to be cast to it."""
    kind = parameter.get("dataType", "STRING")
    if isinstance(kind, dict):
        element = TYPES.get(str(kind.get("elementDataType", "STRING")).upper(), "VARCHAR")
        items = value
        if isinstance(items, str):
            try:
                items = msgspec.json.decode(items)
            except msgspec.DecodeError:
                items = [items]
        return f"{element}[]", [_text(item) for item in (items if isinstance(items, list) else [items])]
    name = str(kind).upper()
    return TYPES.get(name, "VARCHAR"), None if value is None else _SPELLINGS.get(name, _text)(value)


def _extension(piece: re.Match[str], extensions: dict[str, Extension]) -> str:
    table, before, after = piece["table"], piece["before"].upper(), piece["after"].upper()
    view = f"{table}_{before}_{after}".lower()
    extensions[view] = Extension(table, timedelta(days=int(before[1:-1])), timedelta(days=int(after[1:-1])))
    return view


def _blob(value: object) -> str:
    """Base64 as DuckDB writes bytes."""
    try:
        return "".join(f"\\x{byte:02X}" for byte in base64.b64decode(_text(value), validate=True))
    except ValueError:
        raise SqlError("Unable to compile query: the value of a BINARY parameter is not Base64.") from None


def _interval(value: object) -> str:
    """An ISO 8601 period as DuckDB writes intervals: `P1M14D` is `1 month 14 day`."""
    parts = re.findall(r"(\d+)([YMWD])", _text(value).upper())
    return " ".join(f"{number} {_UNITS[unit]}" for number, unit in parts) or _text(value)


_UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_SPELLINGS = {"BINARY": _blob, "CALENDAR_INTERVAL": _interval}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
