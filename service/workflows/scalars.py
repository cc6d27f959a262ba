"""One value of one of AMC's types: read as JSON has it or as text, kept in one spelling. Pure.

Amazon documents neither lengths nor the spelling of BINARY and CALENDAR_INTERVAL; the limits are this
service's own, BINARY is Base64, and a CALENDAR_INTERVAL is an ISO 8601 period, as EXTEND_TIME_WINDOW takes it.
"""

from __future__ import annotations

import base64
import json
import math
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from events.types.workflow import DeclaredParameter
from service.workflows.kinds import KINDS, kind_of

MAX_TEXT = 10_000
"""Characters of one text."""
EXACT = 2**53 - 1
"""The largest whole number that every reader of JSON gets right."""
INTEGERS = {"BYTE": 8, "SHORT": 16, "INTEGER": 32, "LONG": 64}
"""Whole numbers: bits of each type, one of them for the sign."""
LARGEST_FLOAT = 3.4028234663852886e38
DECIMAL_DIGITS = 38

Scalar = bool | int | float | str

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIMESTAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,3}))?")
_PERIOD = re.compile(r"P(?=[0-9])(?:[0-9]{1,4}Y)?(?:[0-9]{1,4}M)?(?:[0-9]{1,4}W)?(?:[0-9]{1,4}D)?")


class BadValue(Exception):
    """The value does not fit; the text goes on after the field's name, and has the remedy."""


def read_scalar(parameter: DeclaredParameter, value: object) -> Scalar:
    """The value in its one spelling. Raises BadValue."""
    if isinstance(value, list | tuple | dict):
        raise BadValue(f"takes one {parameter.type_name}, not a list; give one value, or declare it as an ARRAY")
    return _READERS.get(parameter.type_name, _text)(parameter, value)


def _text(parameter: DeclaredParameter, value: object) -> str:
    if not isinstance(value, str):
        raise BadValue(f"is declared as {parameter.type_name}: must be text in quotes{quotes_for(value)}")
    if len(value) > MAX_TEXT:
        raise BadValue(f"has {len(value)} characters, more than the {MAX_TEXT} of a text; shorten it")
    if (name := kind_of(parameter)) == "text":
        return value
    value = value.strip()
    if problem := KINDS[name].check(value):
        raise BadValue(problem)
    return value


def _boolean(parameter: DeclaredParameter, value: object) -> bool:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise BadValue(f"must be true or false, not {shown(value)}")


def _integer(parameter: DeclaredParameter, value: object) -> int | str:
    """A whole number within the type's range: text where it is an id, or where JSON readers would round it."""
    is_id = kind_of(parameter) != "text"
    if is_id and not isinstance(value, str):
        raise BadValue(f"is an id: must be text in quotes{quotes_for(value)}")
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        number = int(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value % 1 == 0:
        number = int(value)
        if abs(number) > EXACT:
            raise BadValue(f"may have lost digits as a number; write it in quotes{quotes_for(value)}")
    else:
        raise BadValue(f"must be a whole number, not {shown(value)}")
    half = 1 << (INTEGERS[parameter.type_name] - 1)
    if not -half <= number < half:
        remedy = f"give one within it, or declare a larger type than {parameter.type_name}"
        if parameter.type_name == "LONG":
            remedy = "give one within it"
        raise BadValue(f"must be a whole number from {-half} to {half - 1}; {remedy}")
    if is_id and (problem := KINDS[kind_of(parameter)].check(str(number))):
        raise BadValue(problem)
    return str(number) if is_id or abs(number) > EXACT else number


def _real(parameter: DeclaredParameter, value: object) -> float:
    number = math.nan
    if isinstance(value, str) and _REAL.fullmatch(value.strip()) and len(value) <= 400:
        number = float(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1023:
        number = float(value)
    if math.isnan(number):
        raise BadValue(f"must be a number like 1.5, not {shown(value)}")
    if math.isinf(number) or (parameter.type_name == "FLOAT" and abs(number) > LARGEST_FLOAT):
        raise BadValue(f"is beyond the numbers that a {parameter.type_name} can be; give a smaller one")
    return number + 0.0  # -0.0 is 0.0


def _decimal(parameter: DeclaredParameter, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        if abs(value) > EXACT:
            raise BadValue(f"may have lost digits as a number; write it in quotes{quotes_for(value)}")
        value = format(Decimal(repr(value)), "f")
    if not isinstance(value, str) or len(value) > 400 or not _PLAIN.fullmatch(value.strip()):
        raise BadValue(f'must be a number in plain digits like "1234.50", not {shown(value)}')
    sign, _, digits = ("-", "", value.strip()[1:]) if value.strip()[0] == "-" else ("", "", value.strip().lstrip("+"))
    whole, _, fraction = digits.partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if len(whole) + len(fraction) > DECIMAL_DIGITS:
        raise BadValue(f"has more than the {DECIMAL_DIGITS} digits of a DECIMAL; round it")
    text = (whole or "0") + (f".{fraction}" if fraction else "")
    return sign + text if text != "0" else text


def _date(parameter: DeclaredParameter, value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not (found := _DATE.fullmatch(text)):
        raise BadValue(f'must be a date like "2025-01-31", not {shown(value)}')
    _check_day(*(int(part) for part in found.groups()))
    return text


def _timestamp(parameter: DeclaredParameter, value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not (found := _TIMESTAMP.fullmatch(text)):
        remedy = "without Z or offset, in milliseconds at most"
        if _DATE.fullmatch(text):
            remedy = f'with a time of day: "{text}T00:00:00"'
        raise BadValue(f'must be a date and time like "2025-01-31T09:00:00", {remedy}, not {shown(value)}')
    day, hour, minute, second, fraction = found.groups()
    _check_day(*(int(part) for part in day.split("-")))
    try:
        moment = datetime.strptime(f"{hour}:{minute}:{second}", "%H:%M:%S")  # noqa: DTZ007 - a time of day has no zone
    except ValueError:
        raise BadValue(f"has the time {hour}:{minute}:{second}, which no day has; give 00:00:00 to 23:59:59") from None
    fraction = (fraction or "").rstrip("0")
    return f"{day}T{moment:%H:%M:%S}" + (f".{fraction}" if fraction else "")


def _check_day(year: int, month: int, day: int) -> None:
    if year < 1 or not 1 <= month <= 12:
        raise BadValue(f"names the month {year:04}-{month:02}, which does not exist; give a month from 01 to 12")
    last = monthrange(year, month)[1]
    if not 1 <= day <= last:
        raise BadValue(f"names a day that does not exist: {year:04}-{month:02} has the days 01 to {last}")


def _period(parameter: DeclaredParameter, value: object) -> str:
    text = value.strip().upper() if isinstance(value, str) else ""
    if not _PERIOD.fullmatch(text):
        raise BadValue(f'must be an ISO 8601 period like "P14D", "P2W" or "P1M", not {shown(value)}')
    return text


def _binary(parameter: DeclaredParameter, value: object) -> str:
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > MAX_TEXT:
        raise BadValue(f"must be Base64 of at most {MAX_TEXT} characters, not {shown(value)}")
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except ValueError:
        raise BadValue(f"must be Base64, with its padding, not {shown(value)}") from None


_READERS: dict[str, Callable[[DeclaredParameter, object], Scalar]] = {
    "BINARY": _binary,
    "BOOLEAN": _boolean,
    "CALENDAR_INTERVAL": _period,
    "DATE": _date,
    "DECIMAL": _decimal,
    "DOUBLE": _real,
    "FLOAT": _real,
    "STRING": _text,
    "TIMESTAMP": _timestamp,
    **dict.fromkeys(INTEGERS, _integer),
}


def quotes_for(value: object) -> str:
    """The remedy for a number where text belongs; a float has lost what it had."""
    return f'; write "{value}"' if isinstance(value, int) and not isinstance(value, bool) else ""


def shown(value: Any) -> str:
    """The value as a message quotes it: JSON, short."""
    if isinstance(value, list | tuple | dict):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
