"""Access tokens that the sandbox gives out, and when they end."""

from __future__ import annotations

import secrets
import time


class Tokens:
    """Tokens of `seconds` life, each for one client. Gone with the process: callers then refresh."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._tokens: dict[str, tuple[str, float]] = {}

    def issue(self, client_id: str) -> str:
        """A new token for the client."""
        now = time.monotonic()
        self._tokens = {token: entry for token, entry in self._tokens.items() if entry[1] > now}
        token = f"Atza|{secrets.token_urlsafe(48)}"
        self._tokens[token] = (client_id, now + self.seconds)
        return token

    def accepts(self, token: str, client_id: str) -> bool:
        """Whether the token lives and is this client's."""
        owner, until = self._tokens.get(token, ("", 0.0))
        return owner == client_id != "" and time.monotonic() < until

    def expire(self, token: str) -> None:
        """Ends a token's life now."""
        self._tokens.pop(token, None)
