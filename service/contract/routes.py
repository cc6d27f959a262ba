"""`/openapi.json`, `/asyncapi.json`, the pages under `/docs`, and the schemas that events name: their `dataschema`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from events.registry import REGISTRY
from service.contract.asyncapi import asyncapi
from service.contract.event_schemas import EventSchemas
from service.contract.openapi import openapi
from service.contract.pages import catalogue_page, operations_page
from service.endpoints import Endpoint
from service.once import Once, made_once
from service.problems import Refused

HTML = "text/html; charset=utf-8"
CSS = "text/css; charset=utf-8"
SCHEMA = "application/schema+json"

# The pages hold no script and load nothing but their own style sheet.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def contract_routes(endpoints: Sequence[Endpoint], schemas: Once[EventSchemas], *, anonymous: bool) -> list[Endpoint]:
    """The routes that describe `endpoints`, and themselves. `schemas` and `anonymous` as in `event_schemas` and
    `openapi`."""

    @cache
    def described() -> dict[str, Any]:
        return openapi([*endpoints, *own], anonymous=anonymous)

    encoded = made_once(lambda: msgspec.json.encode(described()))
    asyncapi_encoded = made_once(lambda: msgspec.json.encode(asyncapi(REGISTRY)))
    operations_html = made_once(lambda: operations_page(described()).encode())
    catalogue_html = made_once(lambda: catalogue_page().encode())

    async def document(request: Request) -> Response:
        return Response(await encoded(), media_type="application/json")

    async def events_document(request: Request) -> Response:
        return Response(await asyncapi_encoded(), media_type="application/json")

    async def operations(request: Request) -> Response:
        return Response(await operations_html(), headers=PAGE_HEADERS, media_type=HTML)

    async def catalogue(request: Request) -> Response:
        return Response(await catalogue_html(), headers=PAGE_HEADERS, media_type=HTML)

    async def style(request: Request) -> Response:
        return Response(css, headers=PAGE_HEADERS, media_type=CSS)

    async def event_schema(request: Request) -> Response:
        name, number = request.path_params["event_type"], request.path_params["schema_version"]
        schema = (await schemas()).get((name, number))
        if schema is None:
            raise Refused("not_found", f"there are no events of type {name}, version {number}")
        return Response(schema, media_type=SCHEMA)

    own = [
        Endpoint(
            "GET",
            "/openapi.json",
            document,
            summary="This document: what each operation takes, answers and refuses",
            answer=dict[str, Any],
            public=True,
        ),
        Endpoint(
            "GET",
            "/asyncapi.json",
            events_document,
            summary="The event stream: every event as it is sent, over HTTP and over AMQP",
            answer=dict[str, Any],
            public=True,
        ),
        Endpoint("GET", "/docs", operations, summary="This document as a page", answer=(HTML,), public=True),
        Endpoint(
            "GET", "/docs/errors", catalogue, summary="The catalogue of errors as a page", answer=(HTML,), public=True
        ),
        Endpoint("GET", "/docs/style.css", style, summary="The style of these pages", answer=(CSS,), public=True),
        Endpoint(
            "GET",
            "/schemas/{event_type}/{schema_version}.json",
            event_schema,
            summary="The JSON Schema of an event's data, as its dataschema names it",
            answer=(SCHEMA,),
            public=True,
        ),
    ]
    css = files("service.contract").joinpath("style.css").read_bytes()
    return own
