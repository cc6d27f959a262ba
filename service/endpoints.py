"""Endpoints: a route together with what it takes, answers and asks of its caller.

One declaration serves the request (scope, query and body are checked before the handler runs on) and the
contract (`/openapi.json` is generated from it), so the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, inspect
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from events.validation import Body, Invalid, decode
from service.auth.principal import FOR_TEAM
from service.auth.scopes import Scope
from service.persons.texts import IN_ANSWERS
from service.problems import NOTE_REFUSAL, Refused

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[[Request], Awaitable[Response]]
QueryKind = TypeVar("QueryKind", bound="Query")

LAST_POSITION = 2**62
Position = Annotated[int, Meta(ge=0, le=LAST_POSITION)]
Search = Annotated[str, Meta(max_length=200)] | None


class Query(Body, frozen=True, kw_only=True):
    """Base of what an endpoint takes from the query string: whole numbers, booleans, text, choices, dates, and
    tuples of them, which may be repeated there."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of JSON answers."""


class Recorded(Answer, frozen=True, kw_only=True):
    """Base of what commands answer. `position` is that of the command's last event; a read with
    `?min_position=` waits until it shows there."""

    position: int = 0


class Header(msgspec.Struct, frozen=True):
    """A header of a request: its name, the type of its value (as one of a query), what it is for, and a value."""

    name: str
    kind: Any
    meaning: str
    example: Any


IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern="^[!-~]([ -~]*[!-~])?$",
            extra={"expected": "1 to 200 printable characters of ASCII"},
        ),
    ],
    "The caller's name for this request: sent again with the same body, it gets the first answer and records nothing.",
    "monday-report-1",
)
IF_MATCH = Header(
    "If-Match",
    str,  # what is no entity tag matches nothing: 412, with the tag to send
    "The `ETag` of what was read; refused with `stale` where it has another version by now.",
    '"3"',
)


class Endpoint(Route):
    """A route that says of itself what it takes and answers.

    `scope` is what the caller must have been granted; None lets in every caller that is signed in, and
    `public` everybody. `answer` is the struct (or any type) of the JSON answer, or a tuple of media types for
    other content. `refusals` are codes of the catalogue beside those that every endpoint has.

    `headers` are those of the request beside `Idempotency-Key` (whatever has a body takes it) and `If-Match` (with
    the refusal `stale`): one that cannot be read is refused before the handler runs.

    The tokens of personal text in a JSON answer are opened here, for all routes; one that `keeps_tokens` answers what
    is recorded as it is.

    For the contract alone: `answer_headers` are those of the answer by name with their meaning, `media` other
    forms of the answer, for who asks for them with `Accept`, and `also` the answers with other statuses.
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
        headers: Sequence[Header] = (),
        answer_headers: Mapping[str, str] | None = None,
        media: Sequence[str] = (),
        also: Mapping[int, Any] | None = None,
        keeps_tokens: bool = False,
    ) -> None:
        async def guarded(request: Request) -> Response:
            if not public:
                state = request.app.state
                caller = await state.door.admit(request)
                request.scope[NOTE_REFUSAL] = partial(state.errors.note, caller, f"{method} {path}")
                await state.rates.admit(request, caller)
                caller.require(scope)
            if not names.isdisjoint(name for name, _ in request.headers.raw):
                for header in self.headers:
                    _read_header(request, header)
            response = await handler(request)
            return response if public or keeps_tokens else await _opened(request, response)

        async def answered(scope: Any, receive: Any, send: Any) -> None:
            response = await guarded(Request(scope, receive, send))
            await response(scope, receive, send)

        guarded.__name__ = handler.__name__
        super().__init__(path, guarded, methods=[method])
        # Errors are answered by what stands around the routes; Starlette would do it around each of them, too.
        self.app = answered
        self.method = method
        self.summary = summary
        self.answer = answer
        self.status = status
        self.body = body
        self.query = query
        self.scope = scope
        self.public = public
        self.refusals = tuple(refusals)
        key = (IDEMPOTENCY_KEY,) if body is not None else ()
        self.headers = (*key, *((IF_MATCH,) if "stale" in refusals else ()), *headers)
        names = frozenset(header.name.lower().encode() for header in self.headers)
        self.answer_headers = dict(answer_headers or {})
        self.media = tuple(media)
        self.also = dict(also or {})


async def _opened(request: Request, response: Response) -> Response:
    """The answer with the text in the place of its tokens. Almost none has any, and to see that costs next to
    nothing; a stream has no body, and is not looked at."""
    body = bytes(getattr(response, "body", b""))
    if IN_ANSWERS in body and response.media_type == "application/json":
        response.body = await request.app.state.texts.open_answer(body)
        response.headers["content-length"] = str(len(response.body))
    return response


def read_query(request: Request, kind: type[QueryKind]) -> QueryKind:
    """The query string as `kind`. Refuses, by name, what does not fit and what is not known. For which team it is the
    door has read."""
    fields = _fields(kind)
    given: dict[str, Any] = {}
    for name in request.query_params:
        if name == FOR_TEAM and hasattr(request.state, "caller"):
            continue
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


def _read_header(request: Request, header: Header) -> None:
    """Refuses a value that is not of the header's kind."""
    text = request.headers.get(header.name)
    if text is None:
        return
    kind = _type_of(header.kind)
    try:
        decode(header.kind, _value(kind, text))
    except Invalid as error:
        raise Refused("bad_request", f"{header.name} {error.problems[0].message}") from None


_type_of = cache(inspect.type_info)


def path_id(request: Request, name: str, noun: str) -> UUID:
    """The UUID in the path; 404 where it is none, as nothing can be there."""
    text = request.path_params[name]
    try:
        # In the one form that we write: Python would read others, and each thing has one address.
        if str(id := UUID(text)) == text.lower():
            return id
    except ValueError:
        pass
    raise Refused("not_found", f"{text!r} is not a {noun}'s id")


@cache
def _fields(kind: type[Query]) -> dict[str, inspect.Type]:
    """What the query may have, by name, with the types of the values."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return {field.encode_name: _plain(field.type) for field in described.fields}


def _plain(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _value(kind: inspect.Type | None, text: str) -> object:
    """What a text of the query means: a number or a boolean where one is wanted and can be read."""
    plain = kind and _plain(kind)
    for option in plain.types if isinstance(plain, inspect.UnionType) else (plain,):
        # Twenty digits hold every position; thousands of them Python refuses to read.
        if isinstance(option, inspect.IntType) and re.fullmatch("-?[0-9]{1,20}", text):
            return int(text)
        if isinstance(option, inspect.BoolType) and text in ("true", "false"):
            return text == "true"
    return text
