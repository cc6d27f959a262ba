"""One-time codes: the link that the start prints signs its reader in, once and soon."""

from __future__ import annotations

import hashlib
import secrets
import time

LIFETIME = 600.0
"""Seconds that a code can be used."""


class Codes:
    """The codes that this process has given out. They end with it, as the link that holds one is its own."""

    def __init__(self) -> None:
        self._unused: dict[bytes, float] = {}

    def make(self) -> str:
        """A new code."""
        code = secrets.token_urlsafe(24)
        self._unused[_hash(code)] = time.monotonic() + LIFETIME
        return code

    def use(self, code: str) -> bool:
        """Whether it is a code that can be used; from now on it cannot."""
        until = self._unused.pop(_hash(code), None)
        return until is not None and time.monotonic() < until


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
