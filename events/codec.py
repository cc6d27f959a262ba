"""The one JSON codec of event bodies, metadata and answers: compact UTF-8, field order as declared."""

from __future__ import annotations

import re

import msgspec

_ENCODER = msgspec.json.Encoder()

# An escaped NUL: an odd number of backslashes before u0000. PostgreSQL's text and jsonb cannot hold it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

MAX_BODY_BYTES = 1024 * 1024


class UnstorableText(ValueError):
    """The body holds U+0000 or a lone surrogate, or is larger than 1 MiB."""


def encode(value: object) -> str:
    """JSON text that PostgreSQL keeps byte for byte. Raises UnstorableText."""
    try:
        body = _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise UnstorableText("text holds a lone surrogate (U+D800 to U+DFFF); remove it") from None
    # The plain search first: it costs a twentieth of the expression, and nearly always says no.
    if b"\\u0000" in body and _NUL.search(body):
        raise UnstorableText("text holds U+0000; remove it")
    if len(body) > MAX_BODY_BYTES:
        raise UnstorableText(f"the event body has {len(body)} bytes; at most {MAX_BODY_BYTES} are kept")
    return body.decode()
