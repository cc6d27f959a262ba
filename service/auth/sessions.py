"""Browsers that are signed in: a session in the database for each, of which the browser holds the name in a cookie.

The name is random and secret; the database has only its hash. Whoever holds it can also make the CSRF token that
a write has to show, and nobody else can.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

import asyncpg

from db.clock import DatabaseClock
from db.pool import Pool
from service.auth.caller import Credential
from service.auth.principal import Principal
from service.auth.scopes import SCOPES, Scope

# A session that was ended in another process may be taken for so long, in seconds.
RECHECK = 5.0
MAX_KNOWN = 10_000

# With each new session those that are over go.
_OPEN = """
WITH over AS (DELETE FROM sign_in_sessions WHERE expires_at < clock_timestamp())
INSERT INTO sign_in_sessions (token_hash, user_id, teams, scopes, expires_at)
VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
"""
_FIND = """
SELECT user_id, teams, scopes, extract(epoch FROM expires_at)::float8 AS expires_at
  FROM sign_in_sessions WHERE token_hash = $1 AND expires_at > clock_timestamp()
"""


class Sessions:
    """Opens, finds and ends sessions. Those found in the last RECHECK seconds are not looked up again."""

    def __init__(self, pool: Pool, clock: DatabaseClock, *, lifetime: float) -> None:
        self._pool = pool
        self._clock = clock
        self.lifetime = lifetime
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def open(self, user_id: UUID, teams: Iterable[str], scopes: Iterable[Scope]) -> str:
        """A new session of `lifetime` seconds; answers its secret name."""
        token = secrets.token_urlsafe(32)
        await self._pool.execute(_OPEN, _hash(token), user_id, list(teams), sorted(scopes), self.lifetime)
        return token

    async def find(self, token: str) -> Principal | None:
        """Whose session it is; None where it is over, or never was."""
        name = _hash(token)
        known = self._known.get(name)
        if known and time.monotonic() - known[0] < RECHECK and self._clock.now() < (known[1].expires_at or 0):
            return known[1]
        row = await self._pool.fetchrow(_FIND, name)
        if row is None:
            self._known.pop(name, None)
            return None
        principal = _principal(row)
        self._known[name] = (time.monotonic(), principal)
        self._known.move_to_end(name)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return principal

    async def end(self, token: str) -> None:
        """Ends one session, here at once and elsewhere within RECHECK seconds."""
        await self._pool.execute("DELETE FROM sign_in_sessions WHERE token_hash = $1", _hash(token))
        self._known.pop(_hash(token), None)

    async def end_all(self, user_id: UUID) -> None:
        """Ends every session of a user, likewise."""
        await self._pool.execute("DELETE FROM sign_in_sessions WHERE user_id = $1", user_id)
        self.forget(user_id)

    def forget(self, user_id: UUID) -> None:
        """Looks every session of a user up again."""
        for name in [name for name, (_, principal) in self._known.items() if principal.user_id == user_id]:
            self._known.pop(name, None)


def csrf_token(token: str) -> str:
    """What a page must show to write in a session's name. It says nothing about the session's own name."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"csrf\n" + token.encode()).digest()).rstrip(b"=").decode()


def shows_csrf_token(token: str, shown: str | None) -> bool:
    """Whether what a page has shown is the session's token."""
    return hmac.compare_digest(csrf_token(token).encode(), (shown or "").encode())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


_SESSION: Credential = "session"


def _principal(row: asyncpg.Record) -> Principal:
    return Principal(
        user_id=row["user_id"],
        teams=tuple(row["teams"]),
        scopes=SCOPES & frozenset(row["scopes"]),
        expires_at=row["expires_at"],
        credential=_SESSION,
    )
