"""Endpoints: a route together with what it takes, answers and asks of its caller.

One declaration serves the request (scope, query and body are checked before the handler runs on) and the
contract (`/openapi.json` is generated from it), so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, inspect
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from events.validation import Body, Invalid, decode
from service.auth.caller import Scope
from service.problems import Refused

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[[Request], Awaitable[Response]]
QueryKind = TypeVar("QueryKind", bound="Query")

LAST_POSITION = 2**62
Position = Annotated[int, Meta(ge=0, le=LAST_POSITION)]


class Query(Body, frozen=True, kw_only=True):
    """Base of what an endpoint takes from the query string: whole numbers, booleans, text, choices, dates, and
    tuples of them, which may be repeated there."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of JSON answers."""


class Recorded(Answer, frozen=True, kw_only=True):
    """Base of what commands answer. `position` is that of the command's last event; a read with
    `?min_position=` waits until it shows there."""

    position: int = 0


class Endpoint(Route):
    """A route that says of itself what it takes and answers.

    `scope` is what the caller must have been granted; None lets in every caller that is signed in, and
    `public` everybody. `answer` is the struct (or any type) of the JSON answer, or a tuple of media types for
    other content. `refusals` are codes of the catalogue beside those that every endpoint has.
    """

    def __init__(
        self,
        method: Method,
        path: str,
        handler: Handler,
        *,
        summary: str,
        answer: Any,
        status: int = 200,
        body: Any = None,
        query: type[Query] | None = None,
        scope: Scope | None = None,
        public: bool = False,
        refusals: Sequence[str] = (),
    ) -> None:
        async def guarded(request: Request) -> Response:
            if not public:
                caller = await request.app.state.door.admit(request)
                caller.require(scope)
            return await handler(request)

        guarded.__name__ = handler.__name__
        super().__init__(path, guarded, methods=[method])
        self.method = method
        self.summary = summary
        self.answer = answer
        self.status = status
        self.body = body
        self.query = query
        self.scope = scope
        self.public = public
        self.refusals = tuple(refusals)


def read_query(request: Request, kind: type[QueryKind]) -> QueryKind:
    """The query string as `kind`. Refuses, by name, what does not fit and what is not known."""
    fields = {field.encode_name: field.type for field in inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    given: dict[str, Any] = {}
    for name in request.query_params:
        texts = request.query_params.getlist(name)
        wanted = fields.get(name)
        if isinstance(wanted, inspect.VarTupleType):
            given[name] = [_value(wanted.item_type, text) for text in texts]
        elif len(texts) > 1:
            raise Refused("bad_request", f"{name} is given more than once; give it once")
        else:
            given[name] = _value(wanted, texts[0])
    try:
        return decode(kind, given)
    except Invalid as error:
        problems = "; ".join(f"{problem.pointer.removeprefix('/')} {problem.message}" for problem in error.problems)
        raise Refused("bad_request", problems) from None


def path_id(request: Request, name: str, noun: str) -> UUID:
    """The UUID in the path; 404 where it is none, as nothing can be there."""
    text = request.path_params[name]
    try:
        return UUID(text)
    except ValueError:
        raise Refused("not_found", f"{text!r} is not a {noun}'s id") from None


def _value(kind: inspect.Type | None, text: str) -> object:
    """What a text of the query means: a number or a boolean where one is wanted and can be read."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for option in options:
        # Twenty digits hold every position; thousands of them Python refuses to read.
        if isinstance(option, inspect.IntType) and text.isascii() and text.isdigit() and len(text) <= 20:
            return int(text)
        if isinstance(option, inspect.BoolType) and text in ("true", "false"):
            return text == "true"
    return text
