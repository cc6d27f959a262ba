"""Signed tokens (JWT, RFC 7519 and RFC 8725): who signed, for whom, until when, and what they say of a person.

Nothing that a token says decides how it is checked, beyond choosing among the issuers that we trust.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import jwt
import msgspec
from msgspec import Meta

from events.envelope import SYSTEM
from service.auth.keys import EVERY_ALGORITHM, KeySet
from service.auth.scopes import SCOPES, Scope

# How far an issuer's clock may be from the database's.
LEEWAY = 30.0
MAX_LENGTH = 16_384
MAX_TEAMS = 1000

Instant = Annotated[float, Meta(ge=0, le=253_402_214_400)]
"""Seconds since 1970, to a day before the year 10000: what a datetime can hold, the leeway included."""


class CredentialRefused(Exception):
    """A credential that does not hold. The message is for the log alone, and never has a part of it."""


class Issuer(msgspec.Struct, frozen=True):
    """Whom we trust to say who somebody is: by name (`iss`), in tokens for us (`aud`), signed with its keys."""

    name: str
    audience: str
    keys: KeySet


class Claims(msgspec.Struct, frozen=True):
    """What is read of a token, apart from what its operator names."""

    iss: str
    sub: Annotated[str, Meta(min_length=1, max_length=255)]
    aud: str | list[str]
    exp: Instant
    nbf: Instant | None = None
    iat: Instant | None = None
    nonce: str | None = None
    azp: str | None = None
    scope: str | list[str] | None = None
    scp: str | list[str] | None = None


class Identity(msgspec.Struct, frozen=True):
    """A person or program as an issuer describes them. `expires_at` is in seconds since 1970, the leeway included."""

    issuer: str
    subject: str
    name: str | None
    email: str | None
    teams: tuple[str, ...]
    scopes: frozenset[Scope]
    expires_at: float
    nonce: str | None = None
    authorized_party: str | None = None


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: object = msgspec.UNSET


_jws = jwt.PyJWS()
# What a mangled token makes of its readers; a deeply nested one exhausts the stack.
_UNREADABLE = (jwt.PyJWTError, msgspec.MsgspecError, ValueError, TypeError, RecursionError)

ACCESS_TOKEN = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
ID_TOKEN = frozenset({None, "jwt"})


def issuer_of(token: str) -> str:
    """Whom a token claims to come from, unchecked. Raises CredentialRefused."""
    if len(token) > MAX_LENGTH or not token.isascii():
        raise CredentialRefused("too long, or not ASCII")
    try:
        payload = _jws.decode(token, options={"verify_signature": False})
        return msgspec.json.decode(payload, type=_OnlyIssuer).iss
    except _UNREADABLE as error:
        raise CredentialRefused(f"unreadable: {type(error).__name__}") from None


class _OnlyIssuer(msgspec.Struct, frozen=True):
    iss: str


async def read_token(
    token: str, issuer: Issuer, now: float, *, team_claim: str, types: frozenset[str | None] = ACCESS_TOKEN
) -> Identity:
    """Who a token speaks of. `now` is in seconds since 1970; `types` are the header's allowed `typ`.

    Raises CredentialRefused, and IssuerUnavailable where the issuer's keys are not known.
    """
    payload = await _verified(token, issuer.keys, types)
    try:
        claims = msgspec.json.decode(payload, type=Claims)
        everything = msgspec.json.decode(payload, type=dict[str, Any])
    except _UNREADABLE as error:
        raise CredentialRefused(f"claims do not fit: {type(error).__name__}") from None
    _check(claims, issuer, now)
    return Identity(
        issuer=claims.iss,
        subject=claims.sub,
        name=_text(everything.get("name")),
        email=_text(everything.get("email")),
        teams=_teams(everything.get(team_claim)),
        scopes=read_scopes(claims.scope) | read_scopes(claims.scp),
        expires_at=claims.exp + LEEWAY,
        nonce=claims.nonce,
        authorized_party=claims.azp,
    )


async def _verified(token: str, keys: KeySet, types: frozenset[str | None]) -> bytes:
    """The payload, once its signature holds."""
    try:
        header = msgspec.convert(_jws.get_unverified_header(token), type=_Header)
    except _UNREADABLE as error:
        raise CredentialRefused(f"header does not fit: {type(error).__name__}") from None
    if header.alg not in EVERY_ALGORITHM:
        raise CredentialRefused("the algorithm is not one of ours")
    if header.crit is not msgspec.UNSET:
        raise CredentialRefused("it asks for an extension")
    if (header.typ.lower() if header.typ is not None else None) not in types:
        raise CredentialRefused("it is of another type")
    key = await keys.key_for(header.kid, header.alg)
    if key is None:
        raise CredentialRefused("no key of the issuer fits")
    try:
        payload: bytes = _jws.decode(token, key.public, algorithms=[header.alg])
    except _UNREADABLE as error:
        raise CredentialRefused(f"signature: {type(error).__name__}") from None
    return payload


def _check(claims: Claims, issuer: Issuer, now: float) -> None:
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.iss != issuer.name:
        raise CredentialRefused("another issuer's")
    if issuer.audience not in audiences:
        raise CredentialRefused("for another audience")
    if now >= claims.exp + LEEWAY:
        raise CredentialRefused("expired")
    if any(moment is not None and moment > now + LEEWAY for moment in (claims.nbf, claims.iat)):
        raise CredentialRefused("not yet valid")
    if not claims.sub.isprintable():
        raise CredentialRefused("the subject is not printable")


def read_scopes(value: str | Iterable[str] | None) -> frozenset[Scope]:
    """Those of our scopes that a claim names, as a list or separated by spaces; others mean nothing here."""
    named = value.split() if isinstance(value, str) else value or ()
    return SCOPES & frozenset(named)


def _teams(value: object) -> tuple[str, ...]:
    """The teams of a claim, a text or a list of them, in its order."""
    named: list[object] = value if isinstance(value, list) else [value]
    teams = [team for each in named if (team := _text(each)) and team != SYSTEM]
    return tuple(dict.fromkeys(teams))[:MAX_TEAMS]


def _text(value: object) -> str | None:
    """A short text that can be shown and stored, else None."""
    return value if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable() else None


def credential_of(headers: Mapping[str, str]) -> str | None:
    """The bearer token of a request, None where there is none. Raises CredentialRefused for any other kind."""
    sent = headers.get("authorization")
    if sent is None:
        return None
    scheme, _, token = sent.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CredentialRefused("not a bearer token")
    return token.strip()
