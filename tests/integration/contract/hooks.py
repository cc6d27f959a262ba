"""What schemathesis is told of our API beyond its document. It loads this in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import count
from typing import Any
from unittest.mock import Mock

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.parameters import ParameterLocation

from events.validation import Body, Invalid, decode
from service.app import create_app
from service.endpoints import Endpoint

ZONES = ("America/New_York", "Australia/Lord_Howe", "UTC")


async def _endpoints() -> dict[tuple[str, str], Endpoint]:
    routes = create_app(Mock()).routes
    return {(route.method, route.path_format): route for route in routes if isinstance(route, Endpoint)}


def _without_rules(kind: type[Body]) -> None:
    """Leaves the structs with what JSON Schema can say of them: nobody needs more in this process."""
    for each in kind.__subclasses__():
        each.rules = Body.rules  # type: ignore[method-assign]
        _without_rules(each)


ENDPOINTS = asyncio.run(_endpoints())
_without_rules(Body)
_numbers = count()
_made: dict[str, str] = json.loads(os.environ["MADE_BEFORE"])


@schemathesis.check
def refused_by_a_rule_alone(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """A body that fits its schema may be refused for a rule between its fields, or for how things stand: never
    for its form. It is what makes 422 an expected answer to valid data."""
    if response.status_code != 422 or not _is_valid(case):
        return
    sent: Any = response.request.body or b"{}"
    try:
        decode(ENDPOINTS[case.method, case.operation.path].body, sent if isinstance(sent, bytes) else sent.encode())
    except Invalid as error:
        raise AssertionError(f"the schema lets pass what the service refuses: {error}") from None


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """A case for each of 600 zones, wherever one is taken, would be most of the run; others test them all."""
    raw_schema["components"]["schemas"]["ZoneName"]["enum"] = list(ZONES)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Takes requests further than chance would, in the parts of them that are to be valid: half of them name what
    was made before."""
    if case.meta is None:
        return
    number = next(_numbers)
    if not case.meta.is_negative_at(ParameterLocation.HEADER):
        if "Idempotency-Key" in case.headers:
            # The generator likes the same key again, and would see the first answer instead of the handler's.
            case.headers["Idempotency-Key"] = f"{case.headers['Idempotency-Key'][:180]}.{number}"
        if "If-Match" in case.headers:
            # Nearly always it would be another version's, and hide the rest of the request behind 412.
            case.headers["If-Match"] = f'"{number}"' if number % 10 == 0 else "*"
    if not case.meta.is_negative_at(ParameterLocation.QUERY) and case.query:
        # Opaque: a cursor is what a list has answered, and no schema says more of it than that it is text.
        case.query.pop("cursor", None)
    if number % 2:
        if not case.meta.is_negative_at(ParameterLocation.PATH):
            case.path_parameters = _with_what_was_made(case.path_parameters or {})
        if _is_valid(case) and isinstance(case.body, dict):
            case.body = _with_what_was_made(case.body)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Remembers the ids of what was made."""
    if response.status_code in (201, 202):
        _made.update((name, id) for name, id in response.json().items() if name.endswith("_id") and id)


def _is_valid(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def _with_what_was_made(given: dict[str, Any]) -> dict[str, Any]:
    return {name: _made.get(name, value) for name, value in given.items()}
