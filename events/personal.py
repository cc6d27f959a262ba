"""Personal text: which fields of events hold it, and the tokens that stand for it in the log. Pure.

Free text that a person writes, and the values of parameters that are declared personal, are sealed before they are
appended: what is recorded is a token, a ciphertext under the key of the person who acts. It is a plain string of safe
characters that says all that opening it takes, so it can be copied as it is, to other events, to read models and
exports, and is opened there, or nowhere once the person's key is gone. See docs/erasure.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeGuard
from uuid import UUID

import msgspec
from msgspec import Meta, inspect

PREFIX = "~p1."
"""How every token begins. No text that a request brings may hold it: it could be taken for one."""

ERASED = "(erased)"
"""What is answered in the place of a text whose key is gone."""

PersonalText = Annotated[str, Meta(extra={"personal": True})]
"""A text that a person has written: sealed in the log."""

OtherText = Annotated[str, Meta(extra={"personal": False})]
"""A field that is called as personal ones are, and that no person has written."""

_TOKEN = re.compile(
    r"~p1\.(?P<user>[0-9a-f-]{36})\.(?P<key>[0-9a-f]{16})\.(?P<event>[0-9a-f-]{36})\.(?P<pointer>[A-Za-z0-9_-]+)"
    r"\.(?P<mark>[A-Za-z0-9_-]*)\.(?P<sealed>[A-Za-z0-9_-]+)"
)
QUOTED = re.compile(f'"{_TOKEN.pattern}"'.encode())
"""A token as the whole of a JSON string."""


class Unsealed(ValueError):
    """An event holds a personal text in the open: the fault of whoever appends it."""


class Token(msgspec.Struct, frozen=True):
    """What a token says. `event_id` and `pointer` are where the text was first recorded, and with user and key what
    the ciphertext is bound to. `mark` is the same for equal values of one key and says nothing to who has not the
    key; empty where nothing needs it. `sealed` is nonce and ciphertext; what it holds is JSON."""

    user_id: UUID
    key_id: str
    event_id: UUID
    pointer: str
    mark: str
    sealed: bytes

    def __str__(self) -> str:
        return (
            f"{PREFIX}{self.user_id}.{self.key_id}.{self.event_id}.{_base64(self.pointer.encode())}.{self.mark}"
            f".{_base64(self.sealed)}"
        )


def is_token(value: object) -> TypeGuard[str]:
    """Whether the value is a token, and nothing beside it."""
    return isinstance(value, str) and value.startswith(PREFIX) and _TOKEN.fullmatch(value) is not None


def read_token(text: str) -> Token:
    """What the token says. Raises ValueError for what is none."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise ValueError("not a token")
    return Token(
        user_id=UUID(found["user"]),
        key_id=found["key"],
        event_id=UUID(found["event"]),
        pointer=_bytes(found["pointer"]).decode(),
        mark=found["mark"],
        sealed=_bytes(found["sealed"]),
    )


def stands_for(value: Any) -> Any:
    """What to hash, and to compare, in the place of a value: for a token that which is the same for every token of
    the same value and key, and can be made from the value by nobody who has not the key; else the value."""
    if not is_token(value):
        return value
    token = read_token(value)
    return f"{PREFIX}{token.user_id}.{token.key_id}.{token.mark}"


def all_stand_for(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for parameter values by name."""
    return {name: stands_for(value) for name, value in values.items()}


@cache
def personal_fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """The fields of an event that hold personal text, each with its JSON pointer."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return tuple((field.name, f"/{field.encode_name}") for field in described.fields if personal_mark(field.type))


def personal_mark(kind: inspect.Type) -> bool | None:
    """Whether a type is marked as personal text, or as not; None without a mark."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    marks = [(option.extra or {}).get("personal") for option in options if isinstance(option, inspect.Metadata)]
    return next((mark for mark in marks if mark is not None), None)


def unsealed_fields(data: msgspec.Struct) -> list[tuple[str, str]]:
    """The personal fields of an event that hold text in the open."""
    return [
        (name, pointer)
        for name, pointer in personal_fields(type(data))
        if (text := getattr(data, name)) is not None and not is_token(text)
    ]


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
