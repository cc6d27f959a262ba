"""Sign-in in a browser at the issuer: OpenID Connect, the code flow with PKCE.

Between the two halves of a sign-in everything that it needs is in a cookie of the browser that began it, so
that only this browser can end it, at any process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from service.auth.addresses import is_safe
from service.auth.documents import IssuerRefused, IssuerUnavailable, fetch, post_form
from service.auth.keys import KeySet
from service.auth.scopes import Scope
from service.auth.tokens import ID_TOKEN, CredentialRefused, Identity, Issuer, read_scopes, read_token

ATTEMPT_LIFETIME = 600.0
"""Seconds that a person has to sign in at the issuer."""
DISCOVERY_LIFETIME = 3600.0


class Discovery(msgspec.Struct, frozen=True):
    """What an issuer says of itself (OpenID Connect Discovery 1.0), as far as it is used."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """A sign-in that has begun: what its end must match, and the path to go on to."""

    state: str
    nonce: str
    verifier: str
    return_to: str

    def packed(self) -> str:
        """As text for a cookie."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


def read_attempt(text: str) -> Attempt:
    """The attempt in a cookie. Raises CredentialRefused."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Attempt)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise CredentialRefused("the attempt's cookie does not fit") from None


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    scope: str | None = None


class Published:
    """An issuer's discovery document, read when it is needed and kept for an hour."""

    def __init__(self, http: aiohttp.ClientSession, issuer: str) -> None:
        self._http = http
        self._issuer = issuer
        self._known: tuple[float, Discovery] | None = None

    async def read(self) -> Discovery:
        """Raises IssuerUnavailable."""
        if self._known and time.monotonic() - self._known[0] < DISCOVERY_LIFETIME:
            return self._known[1]
        content = await fetch(self._http, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            found = msgspec.json.decode(content, type=Discovery)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise IssuerUnavailable("its discovery document does not fit") from None
        if found.issuer != self._issuer:
            raise IssuerUnavailable("its discovery document names another issuer")
        self._known = (time.monotonic(), found)
        return found

    async def jwks(self) -> bytes:
        """The keys where the document says that they are. Raises IssuerUnavailable."""
        return await fetch(self._http, (await self.read()).jwks_uri)


class SignIn:
    """The two halves of a sign-in, as the client that the issuer knows us as."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        published: Published,
        keys: KeySet,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        scope: str,
        grants: frozenset[Scope],
        team_claim: str,
    ) -> None:
        self._http = http
        self._published = published
        self._issuer = Issuer(issuer, client_id, keys)
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._grants = grants
        self._team_claim = team_claim

    async def begin(self, redirect_uri: str, return_to: str) -> tuple[str, Attempt]:
        """Where to send the browser, and the attempt to keep for it. Raises IssuerUnavailable."""
        discovery = await self._published.read()
        if not is_safe(discovery.authorization_endpoint):
            raise IssuerUnavailable("its authorization endpoint is not https")
        attempt = Attempt(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), return_to)
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": redirect_uri,
                "scope": self._scope,
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": challenge_of(attempt.verifier),
                "code_challenge_method": "S256",
            },
            quote_via=quote,
        )
        joint = "&" if "?" in discovery.authorization_endpoint else "?"
        return f"{discovery.authorization_endpoint}{joint}{query}", attempt

    async def end(
        self, attempt: Attempt, *, state: str, code: str, iss: str | None, redirect_uri: str, now: float
    ) -> Identity:
        """Who has signed in. `now` is in seconds since 1970.

        Raises CredentialRefused where the answer is not the attempt's, and IssuerUnavailable.
        """
        if not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise CredentialRefused("another state")
        discovery = await self._published.read()
        # RFC 9207: an answer that another issuer has sent is not traded in at ours.
        if iss != discovery.issuer and (iss is not None or discovery.authorization_response_iss_parameter_supported):
            raise CredentialRefused("another issuer's answer")
        tokens = await self._trade(discovery, code, attempt.verifier, redirect_uri)
        identity = await read_token(tokens.id_token, self._issuer, now, team_claim=self._team_claim, types=ID_TOKEN)
        if identity.nonce is None or not hmac.compare_digest(identity.nonce.encode(), attempt.nonce.encode()):
            raise CredentialRefused("another nonce")
        if identity.authorized_party not in (None, self._client_id):
            raise CredentialRefused("for another client")
        return msgspec.structs.replace(identity, scopes=identity.scopes | self._grants | self._granted(tokens.scope))

    def _granted(self, scope: str | None) -> frozenset[Scope]:
        """What the issuer has granted of what was asked for; silence grants it (RFC 6749, 5.1). The browser could
        have changed the question on its way: never more than that."""
        asked = read_scopes(self._scope)
        return asked if scope is None else asked & read_scopes(scope)

    async def _trade(self, discovery: Discovery, code: str, verifier: str, redirect_uri: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self._client_id,
        }
        basic = None
        if self._client_secret:
            if "client_secret_basic" in discovery.token_endpoint_auth_methods_supported:
                # RFC 6749, 2.3.1: each half is form-encoded first.
                basic = aiohttp.encode_basic_auth(quote(self._client_id, safe=""), quote(self._client_secret, safe=""))
            else:
                form["client_secret"] = self._client_secret
        try:
            content = await post_form(self._http, discovery.token_endpoint, form, basic)
        except IssuerRefused as error:
            raise CredentialRefused(f"the issuer refused the code: {error}") from None
        try:
            return msgspec.json.decode(content, type=_Tokens)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise IssuerUnavailable("its answer to the code does not fit") from None


def challenge_of(verifier: str) -> str:
    """PKCE's S256 (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
