"""The contract as pages: HTML made from the document and from `docs/errors.md`, without any script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from markdown_it import MarkdownIt

Json = Mapping[str, Any]


def operations_page(document: Json) -> str:
    """All operations by area, then all schemas, each with an anchor."""
    areas = [tag["name"] for tag in document["tags"]]
    operations = [
        (path, method, operation) for path, each in document["paths"].items() for method, operation in each.items()
    ]
    schemas = document["components"]["schemas"]
    body: list[str] = [_markdown(document["info"]["description"])]
    links = (
        '<a href="/openapi.json">OpenAPI 3.1 document</a>',
        '<a href="/asyncapi.json">AsyncAPI 3.0 document</a> of the event stream',
        '<a href="/docs/errors">Errors</a>',
    )
    body.append(f"<p>{' · '.join(links)}</p>")
    for area in areas:
        body.append(f'<h2 id="{escape(area)}">{escape(area)}</h2>')
        body += [
            _operation(path, method, operation, document)
            for path, method, operation in operations
            if area in operation["tags"]
        ]
    body.append('<h2 id="schemas">schemas</h2>')
    body += [_schema_section(name, schema) for name, schema in schemas.items()]
    navigation = []
    for area in areas:
        inside = [_entry(path, method, each) for path, method, each in operations if area in each["tags"]]
        navigation.append(f'<li><a href="#{escape(area)}">{escape(area)}</a>{_list(inside)}</li>')
    named = [f'<li><a href="#schema-{escape(name)}">{escape(name)}</a></li>' for name in schemas]
    navigation.append(f'<li><a href="#schemas">schemas</a>{_list(named)}</li>')
    return _page(f"{document['info']['title']} API {document['info']['version']}", body, _list(navigation))


def catalogue_page() -> str:
    """`docs/errors.md`, with the code as the anchor of each section: a problem's `type` leads there."""
    text = _catalogue()
    codes = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    html = re.sub(r"<h2>(\w+)</h2>", r'<h2 id="\1">\1</h2>', _markdown(text.partition("\n")[2]))
    navigation = _list(f'<li><a href="#{code}">{code}</a></li>' for code in codes)
    return _page("Errors", [html], f'<p><a href="/docs">API</a></p>{navigation}')


def _catalogue() -> str:
    """The text, from the installed package or, in a checkout, from its one place there."""
    installed = files("service.contract").joinpath("errors.md")
    checkout = Path(__file__).parents[2] / "docs" / "errors.md"
    return (installed if installed.is_file() else checkout).read_text("utf-8")


def _page(title: str, body: Iterable[str], navigation: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/docs/style.css"></head>'
        f'<body><nav aria-label="Contents">{navigation}</nav><main><h1>{escape(title)}</h1>{"".join(body)}</main>'
        "</body></html>"
    )


def _operation(path: str, method: str, operation: Json, document: Json) -> str:
    id = escape(operation["operationId"])
    parts = [
        f'<section id="{id}"><h3><a href="#{id}"><b class="{method}">{method.upper()}</b> '
        f"<code>{escape(path)}</code></a></h3><p>{escape(operation['summary'])}.</p>"
    ]
    scopes = [scope for each in operation.get("security", ()) for scope in each.get("bearer", ())]
    if scopes:
        parts.append(f"<p>Takes the scope {', '.join(f'<code>{escape(scope)}</code>' for scope in scopes)}.</p>")
    if operation["parameters"]:
        given = [
            (
                f"<code>{escape(each['name'])}</code>{_star(each.get('required', False))}",
                each["in"],
                _type(each["schema"]),
                _markdown_inline(each.get("description", "")),
            )
            for each in operation["parameters"]
        ]
        parts.append(_table(("parameter", "in", "type", ""), given))
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body{_star(body['required'])}: {_contents(body)}</p>")
    answers = []
    for status, response in operation["responses"].items():
        whole = _resolved(response, document)
        headers = "".join(f"<br><code>{escape(name)}</code>" for name in whole.get("headers", {}))
        answers.append((status, _contents(whole) + headers, _markdown_inline(whole["description"])))
    parts.append(_table(("status", "answer", ""), answers))
    return "".join(parts) + "</section>"


def _schema_section(name: str, schema: Json) -> str:
    id = escape(f"schema-{name}")
    parts = [f'<section id="{id}"><h3><a href="#{id}">{escape(name)}</a></h3>']
    if text := schema.get("description"):
        parts.append(f"<p>{_markdown_inline(text)}</p>")
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        rows = [
            (f"<code>{escape(field)}</code>{_star(field in required)}", _type(each), _default(each))
            for field, each in properties.items()
        ]
        parts.append(_table(("field", "type", "default"), rows))
    elif schema.get("type") != "object":
        parts.append(f"<p>{_type(schema)}</p>")
    for example in schema.get("examples", ()):
        text = msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
        parts.append(f"<pre>{escape(text)}</pre>")
    return "".join(parts) + "</section>"


def _entry(path: str, method: str, operation: Json) -> str:
    shown = f'<b class="{method}">{method.upper()}</b> {escape(path.removeprefix("/api"))}'
    return f'<li><a href="#{escape(operation["operationId"])}">{shown}</a></li>'


def _contents(holder: Json) -> str:
    """The media types of a body or an answer, each with its schema."""
    return "<br>".join(
        f"{_type(content['schema']) + ' as ' if content.get('schema') else ''}<code>{escape(media)}</code>"
        for media, content in holder.get("content", {}).items()
    )


def _type(schema: Json) -> str:
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    for options in ("oneOf", "anyOf"):
        if options in schema:
            return " or ".join(map(_type, schema[options]))
    if "const" in schema or "enum" in schema:
        values = list(schema.get("enum", [schema.get("const")]))
        shown = values if len(values) <= 12 else values[:8]
        return ", ".join(f"<code>{_json(value)}</code>" for value in shown) + (" …" if shown != values else "")
    kinds = schema.get("type", "any value")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_plain_type(kind, schema) for kind in kinds) + "".join(f", {each}" for each in _limits(schema))


def _plain_type(kind: str, schema: Json) -> str:
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and schema.get("additionalProperties"):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(schema.get("format", kind) if kind == "string" else kind)


def _limits(schema: Json) -> Iterator[str]:
    """The bounds that say something: those of 64 bits do not."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and least > -(2**63):
        yield f"at least {least}"
    if most is not None and most < 2**31 - 1:
        yield f"at most {most}"
    for low, high, noun in (("minLength", "maxLength", "characters"), ("minItems", "maxItems", "items")):
        if high in schema:
            yield f"{schema.get(low, 0)} to {schema[high]} {noun}"
        elif low in schema:
            yield f"at least {schema[low]} {noun}"


def _default(schema: Json) -> str:
    return f"<code>{_json(schema['default'])}</code>" if "default" in schema else ""


def _star(required: bool) -> str:
    return ' <span class="required">required</span>' if required else ""


def _json(value: object) -> str:
    return escape(msgspec.json.encode(value).decode())


def _resolved(response: Json, document: Json) -> Json:
    """The response itself, where the operation refers to one of the components."""
    if "$ref" not in response:
        return response
    found: Json = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return found


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = "".join(f"<th>{title}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(items)}</ul>"


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def _markdown(text: str) -> str:
    return str(_MARKDOWN.render(text))


def _markdown_inline(text: str) -> str:
    return str(_MARKDOWN.renderInline(text))
