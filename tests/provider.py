"""An OpenID Connect provider of the tests' own: it speaks the protocol over HTTP, and checks what it is sent.

Whoever is in `person` signs in at once, where another provider would show a form.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from service.server import serving

AUDIENCE = "report-builder"
CLIENT = "browser client"
SECRET = "a secret: of the client's"

# Made once: an RSA key takes a while.
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_MAKERS = {
    "RS256": lambda: _RSA,
    "PS256": lambda: _RSA,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class SigningKey:
    """A private key, and how it is published."""

    def __init__(self, algorithm: str = "EdDSA", kid: str | None = None) -> None:
        self.algorithm = algorithm
        self.kid = kid or secrets.token_hex(4)
        self.private: Any = _MAKERS[algorithm]()

    @property
    def jwk(self) -> dict[str, Any]:
        kind = jwt.get_algorithm_by_name(self.algorithm)
        public: dict[str, Any] = msgspec.json.decode(kind.to_jwk(self.private.public_key()))
        public.pop("key_ops", None)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def pem(self) -> bytes:
        """The public half, as text that anybody has."""
        pem: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem


class Provider:
    """The provider's state, for tests to look at and to change."""

    def __init__(self) -> None:
        self.issuer = ""
        self.key = SigningKey()
        self.published = [self.key]
        self.person: dict[str, Any] = {"sub": "ada", "name": "Ada", "email": "ada@example.com", "team": ["red", "blue"]}
        self.id_token_changes: dict[str, Any] = {}
        self.granted: str | None = None
        self.redirect_uris: set[str] = set()
        self.down = False
        self.keys_fetched = 0
        self._codes: dict[str, dict[str, str]] = {}

    def rotate(self) -> SigningKey:
        """A new key signs from now on, and the old one is revoked; answers the old one."""
        old, self.key = self.key, SigningKey()
        self.published = [self.key]
        return old

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What an access token says by default; a change to None takes a claim out."""
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "exp": int(time.time()) + 600,
            "scope": "openid reports:write events:read",
            **self.person,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: SigningKey | None = None, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """An access token."""
        key = key or self.key
        return jwt.encode(
            self.claims(**changes), key.private, key.algorithm, headers={"kid": key.kid, **(header or {})}
        )

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
        ]

    async def _discovery(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _keys(self, request: Request) -> Response:
        self.keys_fetched += 1
        if self.down:
            return Response(status_code=503)
        return JSONResponse({"keys": [key.jwk for key in self.published]})

    async def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        if (
            given.get("response_type") != "code"
            or given.get("client_id") != CLIENT
            or given.get("redirect_uri") not in self.redirect_uris
            or given.get("code_challenge_method") != "S256"
            or not all(given.get(name) for name in ("code_challenge", "state", "nonce"))
            or "openid" not in given.get("scope", "").split()
        ):
            return JSONResponse({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = given
        answer = urlencode({"code": code, "state": given["state"], "iss": self.issuer})
        return RedirectResponse(f"{given['redirect_uri']}?{answer}", 302)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        asked = self._codes.pop(str(form.get("code")), None)
        kind, _, credentials = request.headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(credentials).decode().partition(":")
        if kind != "Basic" or (unquote(user), unquote(password)) != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form.get("code_verifier")).encode()).digest())
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge.rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = self.claims(aud=CLIENT, nonce=asked["nonce"], scope=None)
        claims |= self.id_token_changes
        return JSONResponse(
            {
                "access_token": secrets.token_urlsafe(16),
                "token_type": "Bearer",
                "id_token": jwt.encode(claims, self.key.private, self.key.algorithm, headers={"kid": self.key.kid}),
                **({"scope": self.granted} if self.granted is not None else {}),
            }
        )


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """A provider that answers on loopback."""
    provider = Provider()
    async with serving(Starlette(routes=provider.routes()), "127.0.0.1", 0, grace=1) as url:
        provider.issuer = url
        yield provider
