"""AMC SQL as text: its literals, comments and words, and the calls that matter to this service.

A scanner, not a parser: it takes any text, in one pass, and what looks like a call within a literal or a
comment is none. Places are characters of the text (code points), the end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["text", "name", "comment", "space", "number", "word", "other"]

# Possessive: a literal that nobody closes runs to the end, without a second look at any of it.
_TOKENS = re.compile(
    r"""
      (?P<text> '(?:[^']|'')*+(?:'|\Z) )
    | (?P<name> "(?:[^"]|"")*+(?:"|\Z) )
    | (?P<comment> --[^\n]*+ | /\*(?:[^*]|\*(?!/))*+(?:\*/|\Z) )
    | (?P<space> \s++ )
    | (?P<number> \d[\w.]*+ )
    | (?P<word> \w++ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-]+(?: +[\w.\-]+)*)\s*\}\}")


class Token(msgspec.Struct, frozen=True):
    """A piece of SQL, as it stands there."""

    kind: Kind
    text: str
    start: int
    end: int


class ParameterCall(msgspec.Struct, frozen=True):
    """A `CUSTOM_PARAMETER('name')`. `name` is None where the call has anything but one literal in it; its end
    is then that of the opening parenthesis."""

    name: str | None
    start: int
    end: int


def tokens(sql: str) -> Iterator[Token]:
    """All of the text, piece by piece: the pieces joined are the text again."""
    for found in _TOKENS.finditer(sql):
        yield Token(found.lastgroup, found[0], found.start(), found.end())  # type: ignore[arg-type]


def significant(sql: str) -> list[Token]:
    """The pieces that are neither space nor comment."""
    return [token for token in tokens(sql) if token.kind not in ("space", "comment")]


def parameter_calls(sql: str) -> list[ParameterCall]:
    """Each call of CUSTOM_PARAMETER, in order."""
    found, pieces = [], significant(sql)
    for index, piece in enumerate(pieces):
        if piece.kind != "word" or piece.text.upper() != "CUSTOM_PARAMETER":
            continue
        rest = pieces[index + 1 : index + 4]
        if not rest or rest[0].text != "(":
            continue
        if len(rest) == 3 and rest[1].kind == "text" and rest[2].text == ")":
            found.append(ParameterCall(unquoted(rest[1].text), piece.start, rest[2].end))
        else:
            found.append(ParameterCall(None, piece.start, rest[0].end))
    return found


def placeholders(sql: str) -> list[str]:
    """The names in `{{name}}`, each once, sorted; within literals and comments too, where tools put them."""
    return sorted(set(_PLACEHOLDER.findall(sql)))


def unquoted(literal: str) -> str:
    """What a literal means: `'it''s'` is `it's`."""
    return literal[1:-1].replace("''", "'")


def quoted(text: str) -> str:
    """The text as a literal."""
    return "'" + text.replace("'", "''") + "'"
