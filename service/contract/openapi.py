"""The OpenAPI 3.1 document of the endpoints: what each takes, answers and refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from events.validation import Problem
from service.contract.schemas import Schema, Schemas
from service.endpoints import Endpoint
from service.problems import CATALOGUE

PROBLEM = "application/problem+json"
PROBLEM_DETAILS = "#/components/schemas/ProblemDetails"

VERSION = "1"
"""Of the contract: it grows, and what it has said stays true; what would break a caller is another version."""

# Codes that an endpoint need not name, as they come before its handler or from below it.
ALWAYS = ("bad_request", "internal", "database_unavailable")
SIGNED_IN = ("unauthenticated", "forbidden", "rate_limited")
WRITES = ("cross_origin", "body_too_large", "invalid", "idempotency_key_reused", "half_known", "overloaded")
SEALED = ("no_secret_key", "person_erased")
ADDRESSED = ("not_found",)
WAITING = ("log_rewound", "projection_behind")

ETAG = "The version, which `If-Match` names, in quotes."

TAGS = {
    "healthz": "operations",
    "readyz": "operations",
    "metrics": "operations",
    "openapi.json": "contract",
    "asyncapi.json": "contract",
    "docs": "contract",
    "schemas": "contract",
}
"""The areas of what is not below `/api`, by the first part of the path; others are areas of their own."""

DESCRIPTION = """\
Configures, schedules and backfills Amazon Marketing Cloud reports.

JSON in and out, UTF-8. In requests `null` is the same as leaving a field out, and unknown fields are refused. \
Integers are up to 64 bits wide: a reader whose numbers are floating-point, as JavaScript's are, loses digits \
above 2^53. Refusals are `application/problem+json` with a `code`, each explained in [the catalogue](/docs/errors). \
A write answers the `position` of its last event; a read with `?min_position=` waits until it shows there.

Who is in several teams names the one that a request is for in the header `Report-Builder-Team`, or, on a GET, in the \
parameter `for_team`, as a link sends no header. Without them it is the first."""


def openapi(endpoints: Sequence[Endpoint], *, anonymous: bool) -> dict[str, Any]:
    """The document. `anonymous`: callers without credentials are let in, as the local person.

    Raises TypeError for what has no schema, and for two structs of one name.
    """
    schemas = Schemas()
    for endpoint in endpoints:  # first, as it is these that decide the form of what is also answered
        if endpoint.body is not None:
            schemas.of_request(endpoint.body)
    document = _Document(schemas, endpoints, anonymous)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path_format, {})[endpoint.method.lower()] = document.operation(endpoint)
    schemas.components["ProblemDetails"] = _problem_details(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Report Builder", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(map(tag_of, endpoints))],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": dict(sorted(document.refusals.items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token with the scopes that the operation names.",
                }
            },
        },
    }


def tag_of(endpoint: Endpoint) -> str:
    """The area that an endpoint belongs to: the first part of its path below `/api`."""
    parts = endpoint.path.removeprefix("/api").strip("/").split("/")
    return TAGS.get(parts[0], parts[0])


def operation_id(endpoint: Endpoint) -> str:
    """A name that no other endpoint has: method and path, `get_reports_report_id`."""
    path = endpoint.path_format.removeprefix("/api")
    return f"{endpoint.method.lower()}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}"


class _Document:
    """What the operations of one document share: the schemas, the refusals, and each other's addresses."""

    def __init__(self, schemas: Schemas, endpoints: Sequence[Endpoint], anonymous: bool) -> None:
        self.refusals: dict[str, Any] = {}
        self._schemas = schemas
        self._endpoints = endpoints
        self._anonymous = anonymous
        # What a path asks for has the form in which answers give it.
        self._uuids = {
            name for endpoint in endpoints for name, kind in _fields(endpoint.answer).items() if kind is UUID
        }

    def operation(self, endpoint: Endpoint) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": operation_id(endpoint),
            "tags": [tag_of(endpoint)],
            "summary": endpoint.summary,
            "parameters": list(self._parameters(endpoint)),
            "responses": self._responses(endpoint),
        }
        if endpoint.body is not None:
            operation["requestBody"] = self._request_body(endpoint)
        if not endpoint.public:
            needed: list[dict[str, list[str]]] = [{"bearer": [endpoint.scope] if endpoint.scope else []}]
            operation["security"] = [*needed, {}] if self._anonymous else needed
        return operation

    def _parameters(self, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
        for name in endpoint.param_convertors:
            form: Schema = {"format": "uuid"} if name in self._uuids else {"minLength": 1}
            schema = {"type": "string", **form}
            yield {"name": name, "in": "path", "required": True, "schema": schema}
        for name, required, schema in self._schemas.of_query(endpoint.query) if endpoint.query else ():
            yield {"name": name, "in": "query", "required": required, "schema": schema}
        for header in endpoint.headers:
            schema = self._schemas.of_request(header.kind)
            yield {
                "name": header.name,
                "in": "header",
                "description": header.meaning,
                "schema": schema,
                "example": header.example,
            }

    def _request_body(self, endpoint: Endpoint) -> dict[str, Any]:
        """An empty body is `{}`: it must be given where the struct asks for a field."""
        schema = self._schemas.of_request(endpoint.body)
        named = self._schemas.components.get(schema.get("$ref", "").rpartition("/")[2])
        required = named is None or bool(named.get("required"))
        return {"required": required, "content": {"application/json": {"schema": schema}}}

    def _responses(self, endpoint: Endpoint) -> dict[str, Any]:
        fields = _fields(endpoint.answer)
        meanings = ({"ETag": ETAG} if "version" in fields else {}) | endpoint.answer_headers
        headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in meanings.items()}
        responses: dict[str, Any] = {
            str(endpoint.status): {
                "description": endpoint.summary,
                "content": self._content(endpoint.answer, endpoint.media),
                **({"headers": headers} if headers else {}),
                **({"links": links} if (links := self._links(endpoint, fields)) else {}),
            }
        }
        for status, group in groupby(refusals_of(endpoint), key=_status):
            responses[str(status)] = {"$ref": self._refusal(status, tuple(group))}
        for status, answer in endpoint.also.items():
            responses[str(status)] = {
                "description": HTTPStatus(status).phrase,
                "content": self._content(answer) | {PROBLEM: {"schema": {"$ref": PROBLEM_DETAILS}}},
            }
        return responses

    def _content(self, answer: Any, media: Sequence[str] = ()) -> dict[str, Any]:
        """What an answer looks like, by media type, which stands without its parameters."""
        described = (
            {} if isinstance(answer, tuple) else {"application/json": {"schema": self._schemas.of_answer(answer)}}
        )
        others = (*answer, *media) if isinstance(answer, tuple) else media
        return described | {each.partition(";")[0]: _raw(each) for each in others}

    def _refusal(self, status: int, codes: tuple[str, ...]) -> str:
        """The response of these codes, which all have the status; the same ones are written once."""
        name = ".".join((str(status), *codes))
        self.refusals[name] = {
            "description": " ".join(f"[`{code}`](/docs/errors#{code}): {CATALOGUE[code][1]}." for code in codes),
            "content": {
                PROBLEM: {
                    "schema": {
                        "$ref": PROBLEM_DETAILS,
                        "properties": {"status": {"const": status}, "code": {"enum": list(codes)}},
                    }
                }
            },
        }
        if status in (429, 503):
            seconds = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
            self.refusals[name]["headers"] = {"Retry-After": seconds}
        return f"#/components/responses/{name}"

    def _links(self, endpoint: Endpoint, fields: Mapping[str, Any]) -> dict[str, Any]:
        """From what was made to all that is at its address: the answer has the one id that the path asks for."""
        if endpoint.status not in (201, 202):
            return {}
        links = {}
        for other in self._endpoints:
            names = list(other.param_convertors)
            if len(names) != 1 or fields.get(names[0]) not in (UUID, str):
                continue
            given = {names[0]: f"$response.body#/{names[0]}"}
            if "position" in fields and "min_position" in _fields(other.query):
                given["min_position"] = "$response.body#/position"
            links[operation_id(other)] = {"operationId": operation_id(other), "parameters": given}
        return links


def refusals_of(endpoint: Endpoint) -> list[str]:
    """The codes that an endpoint may answer with, by status and then in the catalogue's order.

    Raises TypeError for one that it names and the catalogue does not have.
    """
    if strays := set(endpoint.refusals) - set(CATALOGUE):
        raise TypeError(f"{endpoint.method} {endpoint.path} names refusals without an entry in the catalogue: {strays}")
    groups = (
        ALWAYS,
        () if endpoint.public else SIGNED_IN,
        WRITES if endpoint.body is not None else (),
        SEALED if "reason" in _fields(endpoint.body) else (),
        ADDRESSED if endpoint.param_convertors else (),
        WAITING if "min_position" in _fields(endpoint.query) else (),
        endpoint.refusals,
    )
    named = {code for group in groups for code in group}
    return sorted((code for code in CATALOGUE if code in named), key=_status)


def _status(code: str) -> int:
    return CATALOGUE[code][0]


def _raw(media: str) -> dict[str, Any]:
    """The schema of an answer that is not described further."""
    main, _, form = media.partition(";")[0].partition("/")
    if form == "json":
        return {"schema": {"type": "array", "items": {"type": "object"}}}
    whole = main == "text" and form != "event-stream"
    return {"schema": {"type": "string"}} if whole or form == "x-ndjson" else {}


def _fields(struct: Any) -> dict[str, Any]:
    """The types of an answer's or query's fields by their names in JSON; none where it is no struct."""
    is_struct = isinstance(struct, type) and issubclass(struct, msgspec.Struct)
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)} if is_struct else {}


def _problem_details(schemas: Schemas) -> Schema:
    """RFC 9457, with our `code` and `errors`; a code may add fields of its own."""
    text: Schema = {"type": "string"}
    return {
        "type": "object",
        "description": "A refusal. `errors` names each field that does not fit; a code may add fields of its own.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "code": {"enum": list(CATALOGUE)},
            "errors": {"type": "array", "items": schemas.of_answer(Problem)},
        },
        "examples": [
            {
                "type": "/docs/errors#invalid",
                "title": CATALOGUE["invalid"][1],
                "status": 422,
                "code": "invalid",
                "detail": "/lookback_config/value: must be a whole number of at least 1, not 0",
                "errors": [
                    {"pointer": "/lookback_config/value", "message": "must be a whole number of at least 1, not 0"}
                ],
            }
        ],
    }
