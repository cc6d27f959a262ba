"""Access tokens that the sandbox gives out, and when they end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection


class Tokens:
    """Tokens of `seconds` life, each for one client. Gone with the process: callers then refresh."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._tokens: dict[str, tuple[str, str, float]] = {}

    def issue(self, client_id: str, refresh_token: str) -> str:
        """A new token for the client, by the consent that the refresh token stands for."""
        now = time.monotonic()
        self._tokens = {token: entry for token, entry in self._tokens.items() if entry[2] > now}
        token = f"Atza|{secrets.token_urlsafe(48)}"
        self._tokens[token] = (client_id, refresh_token, now + self.seconds)
        return token

    def accepts(self, token: str, client_id: str, revoked: Collection[str]) -> bool:
        """Whether the token lives, is this client's, and was issued with a refresh token that is not `revoked`."""
        owner, refresh_token, until = self._tokens.get(token, ("", "", 0.0))
        return owner == client_id != "" and refresh_token not in revoked and time.monotonic() < until

    def expire(self, token: str) -> None:
        """Ends a token's life now."""
        self._tokens.pop(token, None)
