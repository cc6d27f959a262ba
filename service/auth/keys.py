"""The public keys that an issuer signs with: a JWKS, kept up with its source, so that a key taken out is refused.

Only asymmetric keys count. A key is bound to what it may verify by its own kind, never by what a token says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import msgspec
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from service.auth.documents import IssuerUnavailable
from service.settings import SettingsError

log = structlog.get_logger()

Source = Callable[[], Awaitable[bytes]]
"""Answers a JWKS document; raises IssuerUnavailable, OSError, or SettingsError for a file that is unfit."""

# What each kind of key verifies, by `kty` and `crv`.
ALGORITHMS: dict[tuple[str, str | None], frozenset[str]] = {
    ("RSA", None): frozenset({"RS256", "PS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
EVERY_ALGORITHM = frozenset[str]().union(*ALGORITHMS.values())
MIN_RSA_BITS = 2048

# Tokens with an unknown key may make the issuer be asked so often, in seconds, whoever sends how many of them.
UNKNOWN_KEY_PAUSE = 10.0
RETRY_PAUSE = 10.0


class Key(msgspec.Struct, frozen=True):
    """A public key, by the name that tokens have for it, and what it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    public: Any
    document: bytes
    """The key as it was published, to tell whether it has changed."""


class BadKeys(Exception):
    """The document is no JWKS."""


class _Jwks(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Jwk(msgspec.Struct, frozen=True):
    """What a key says that it is, and is for (RFC 7517)."""

    kty: str
    kid: str | None = None
    crv: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None


def read_keys(document: bytes) -> tuple[Key, ...]:
    """The usable keys of a JWKS. Others (symmetric, for encryption, too short, unknown) are passed over.

    Raises BadKeys.
    """
    try:
        jwks = msgspec.json.decode(document, type=_Jwks)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadKeys("not a JWKS") from error
    return tuple(key for jwk in jwks.keys if (key := _key(jwk)))


def _key(jwk: dict[str, Any]) -> Key | None:
    try:
        named = msgspec.convert(jwk, _Jwk)
    except msgspec.ValidationError:
        return None
    algorithms = ALGORITHMS.get((named.kty, named.crv), frozenset())
    if named.alg is not None:
        algorithms &= {named.alg}
    for_signatures = named.use in (None, "sig") and (named.key_ops is None or "verify" in named.key_ops)
    # A private key that is published is everybody's.
    if not algorithms or not for_signatures or "d" in jwk:
        return None
    try:
        public = jwt.PyJWK(jwk, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        return None
    return Key(named.kid, algorithms, public, msgspec.json.encode(jwk, order="sorted"))


class KeySet:
    """An issuer's keys as last fetched.

    They are fetched every `refresh` seconds, and at once for a token that names an unknown key, though not more
    often than every UNKNOWN_KEY_PAUSE. Where a fetch fails, the keys hold for `keep` seconds from the last one
    that did not. `version` changes with the keys.
    """

    def __init__(self, source: Source, *, refresh: float, keep: float) -> None:
        self._source = source
        self._refresh = refresh
        self._keep = keep
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()
        self.version = 0

    @property
    def usable(self) -> bool:
        """Whether the keys are known, and no older than they may be."""
        return self._fetched_at is not None and time.monotonic() - self._fetched_at <= self._keep

    async def key_for(self, kid: str | None, algorithm: str) -> Key | None:
        """The key by that name that may verify with the algorithm. Raises IssuerUnavailable where none is known."""
        found = self._find(kid, algorithm)
        if found is None:
            async with self._lock:
                found = self._find(kid, algorithm)
                if found is None and self._may_ask():
                    self._asked_at = time.monotonic()
                    await self._fetch()
                    found = self._find(kid, algorithm)
        if not self.usable:
            raise IssuerUnavailable("its keys are not known")
        return found

    async def fetch(self) -> bool:
        """Fetches the keys; answers whether that worked, and logs why it did not."""
        async with self._lock:
            return await self._fetch()

    async def run(self) -> None:
        """Keeps the keys up for ever."""
        worked = self._fetched_at is not None
        while True:
            await asyncio.sleep(self._refresh if worked else min(self._refresh, RETRY_PAUSE))
            worked = await self.fetch()

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        if not self.usable:
            return None
        fitting = [key for key in self._keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
        # A token that names no key is fine where there is no choice.
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None

    def _may_ask(self) -> bool:
        return self._asked_at is None or time.monotonic() - self._asked_at >= UNKNOWN_KEY_PAUSE

    async def _fetch(self) -> bool:
        try:
            keys = read_keys(await self._source())
        except (IssuerUnavailable, BadKeys, OSError, SettingsError) as error:
            log.warning("keys_not_fetched", error=str(error) or type(error).__name__, still_usable=self.usable)
            return False
        if [key.document for key in keys] != [key.document for key in self._keys]:
            self._keys = keys
            self.version += 1
            if self._fetched_at is not None:
                log.info("keys_changed", keys=[key.kid for key in keys])
        self._fetched_at = time.monotonic()
        return True
