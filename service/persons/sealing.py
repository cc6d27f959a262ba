"""A person's key, and what it seals and opens. Pure but for nonces."""

from __future__ import annotations

import base64
import hmac
from typing import Any
from uuid import UUID

import msgspec

from events.personal import Token
from service.ciphers import decrypt, encrypt

MARK_BYTES = 16


class PersonKey(msgspec.Struct, frozen=True):
    """The key of a person. A person who is erased and goes on gets another, with another id."""

    user_id: UUID
    key_id: str
    key: bytes

    def __repr__(self) -> str:
        return f"PersonKey({self.user_id}, {self.key_id})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what rich shows in place of __repr__
        return [("user_id", self.user_id), ("key_id", self.key_id)]

    def seal(self, value: Any, event_id: UUID, pointer: str, *, marked: bool = False) -> str:
        """The token of a JSON value that stands at `pointer` of the event. `marked`: tokens of equal values can be
        told to be so, as reuse and the digest of a review need it."""
        plain = msgspec.json.encode(value)
        token = Token(self.user_id, self.key_id, event_id, pointer, self._mark(plain) if marked else "", b"")
        return str(msgspec.structs.replace(token, sealed=encrypt(self.key, plain, _bound_to(token))))

    def open(self, token: Token) -> bytes:
        """The JSON that was sealed. Raises NotSealedSo."""
        return decrypt(self.key, token.sealed, _bound_to(token))

    def _mark(self, plain: bytes) -> str:
        marking = hmac.digest(self.key, b"report-builder marks of values", "sha256")
        mark = hmac.digest(marking, plain, "sha256")[:MARK_BYTES]
        return base64.urlsafe_b64encode(mark).rstrip(b"=").decode()


def _bound_to(token: Token) -> bytes:
    """The event's id and the JSON pointer, and all else that the token says."""
    parts = ("personal text", token.event_id, token.pointer, token.user_id, token.key_id, token.mark)
    return "\n".join(map(str, parts)).encode()
