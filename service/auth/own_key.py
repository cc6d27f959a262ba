"""The service's own signing key, for a service without an issuer: made once, kept in a file for its user alone."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from service.settings import SettingsError

ISSUER = "report-builder"
"""Who has issued the tokens that are signed with the key."""
ALGORITHM = "EdDSA"


def own_key_file(data_dir: Path) -> Path:
    """Where the service's own signing key is."""
    return data_dir / "auth" / "signing-key.pem"


class OwnKey:
    """The key in the file, which is made where it is missing. Raises SettingsError where it cannot be trusted."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def sign(self, claims: dict[str, object]) -> str:
        """A JWT over the claims."""
        private = self._load()
        return jwt.encode(claims, private, ALGORITHM, headers={"kid": _kid(private)})

    async def jwks(self) -> bytes:
        """The public half, as every issuer publishes its own."""
        private = self._load()
        return msgspec.json.encode({"keys": [{**_public(private), "kid": _kid(private), "alg": ALGORITHM}]})

    def _load(self) -> Ed25519PrivateKey:
        try:
            if not self._file.exists():
                _create(self._file)
            if self._file.stat().st_mode & 0o077:
                raise SettingsError(f"{self._file} signs tokens and others may read it: chmod 600, or delete it")
            key = load_pem_private_key(self._file.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise SettingsError(f"the signing key {self._file} cannot be read or made: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsError(f"{self._file} is no Ed25519 key; delete it, and a new one is made")
        return key


def own_claims(
    *,
    subject: str,
    teams: Sequence[str],
    team_claim: str,
    scopes: Sequence[str],
    audience: str,
    issued_at: int,
    expires_at: int,
) -> dict[str, object]:
    """What a token of our own says; times in seconds since 1970."""
    return {
        "iss": ISSUER,
        "sub": subject,
        "aud": audience,
        team_claim: list(teams),
        "scope": " ".join(scopes),
        "iat": issued_at,
        "exp": expires_at,
        "jti": secrets.token_urlsafe(12),
    }


def _create(file: Path) -> None:
    """Makes the file with its whole content or not at all; of two processes that do so at once, one wins."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _public(private: Ed25519PrivateKey) -> dict[str, str]:
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64(raw)}


def _kid(private: Ed25519PrivateKey) -> str:
    """The key's thumbprint (RFC 7638): its required members, in order."""
    return _base64(hashlib.sha256(msgspec.json.encode(_public(private), order="sorted")).digest())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
