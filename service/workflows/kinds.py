"""What the texts of a parameter are: ids of one sort or another, or any text. Pure.

An id that is wrong by a character finds nothing at Amazon, and says nothing: so ids are checked by form. The
kind is declared, or told by the parameter's name; only "text" takes everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

from events.types.workflow import DeclaredParameter, ParameterKind

_ASIN = re.compile(r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]")
_NUMBER = re.compile(r"[0-9]{1,20}")
_ENTITY = re.compile(r"ENTITY[0-9A-Z]{1,30}")
# Possessive, and each begins with what it parts by: one pass over any text.
LINES = re.compile(r"(?:,[^\S\r\n]*+)?+(?:\r\n|[\r\n])|,")
"""What parts a pasted list of texts, which may hold spaces: lines and commas. A comma that ends a line is no other."""
BLANKS = re.compile(
    r"""
      [^\S\r\n]*+ (?: [,;] [^\S\r\n]*+ )?+ (?: \r\n | [\r\n] ) [^\S\r\n]*+
    | [^\S\r\n]*+ [,;] [^\S\r\n]*+
    | [^\S\r\n]++
    """,
    re.VERBOSE,
)
"""What parts a pasted list of ids: lines, commas, semicolons and spaces, none of which an id holds."""


class Kind(msgspec.Struct, frozen=True):
    """`check` answers what is wrong with one text, with the remedy, or None."""

    check: Callable[[str], str | None]
    types: tuple[str, ...] = ("STRING", "ARRAY")
    separator: re.Pattern[str] = BLANKS


def _asin(text: str) -> str | None:
    if _ASIN.fullmatch(text):
        return None
    if _ASIN.fullmatch(text.upper()):
        return f'"{text}" is an ASIN in small letters, which finds nothing; write "{text.upper()}"'
    return f'{_named(text)} is not an ASIN; give 10 characters like "B08N5WRWNW", or a book\'s 10 digits'


def _entity(text: str) -> str | None:
    return None if _ENTITY.fullmatch(text) else f'{_named(text)} is not an entity id; give one like "ENTITY1A2B3C"'


def _numeric(noun: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        if _NUMBER.fullmatch(text):
            return None
        return f"{_named(text)} is not {noun}; give its 1 to 20 digits, without spaces, dots or letters"

    return check


def _named(text: str) -> str:
    """The text in quotes; what cannot be seen, such as a byte order mark, escaped."""
    return json.dumps(text if len(text) <= 60 else text[:59] + "...")


_DIGITS = ("STRING", "LONG", "ARRAY")
KINDS: dict[ParameterKind, Kind] = {
    "text": Kind(lambda text: None, separator=LINES),
    "asin": Kind(_asin),
    "campaign_id": Kind(_numeric("a campaign's id"), _DIGITS),
    "ad_group_id": Kind(_numeric("an ad group's id"), _DIGITS),
    "line_item_id": Kind(_numeric("a line item's id"), _DIGITS),
    "creative_id": Kind(_numeric("a creative's id"), _DIGITS),
    "advertiser_id": Kind(_numeric("an advertiser's id"), _DIGITS),
    "entity_id": Kind(_entity),
}

_BY_NAME: dict[str, ParameterKind] = {
    "asin": "asin",
    "campaign_id": "campaign_id",
    "ad_group_id": "ad_group_id",
    "adgroup_id": "ad_group_id",
    "line_item_id": "line_item_id",
    "creative_id": "creative_id",
    "advertiser_id": "advertiser_id",
    "entity_id": "entity_id",
}
_WORDS_OF_NAMES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ENDINGS = frozenset({"array", "filter", "list", "param", "parameter", "string", "value", "values"})


def kind_of(parameter: DeclaredParameter) -> ParameterKind:
    """What was declared, or else what the name ends with: `campaign_ids`, `trackedAsins`, `asin_list`."""
    if parameter.kind:
        return parameter.kind
    words = [word.lower() for word in _WORDS_OF_NAMES.findall(parameter.name)]
    while words and words[-1] in _ENDINGS:
        words.pop()
    name = "_".join(words).removesuffix("s")
    for ending, kind in _BY_NAME.items():
        if (name == ending or name.endswith(f"_{ending}")) and parameter.type_name in KINDS[kind].types:
            return kind
    return "text"
