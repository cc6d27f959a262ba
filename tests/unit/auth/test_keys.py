"""Which of an issuer's published keys count, and for what."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from service.auth.keys import BadKeys, Key, read_keys
from tests.provider import SigningKey

RSA, EC, ED = (SigningKey(name).jwk for name in ("RS256", "ES256", "EdDSA"))


def read(*jwks: Any) -> tuple[Key, ...]:
    return read_keys(msgspec.json.encode({"keys": jwks}))


def words(value: Any) -> str:
    """A case's name: the same in every process, though the keys are made anew in each."""
    return re.sub(r"'(kid|n|x|y)': '[^']{5,}'", r"\1", str(sorted(value) if isinstance(value, set) else value))[:90]


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (RSA, {"RS256"}),
        (without(RSA, "alg"), {"RS256", "PS256"}),
        (without(RSA, "alg", "use"), {"RS256", "PS256"}),
        (RSA | {"alg": "PS256"}, {"PS256"}),
        (EC, {"ES256"}),
        (without(EC, "alg", "kid"), {"ES256"}),
        (ED, {"EdDSA"}),
        (ED | {"key_ops": ["verify"]}, {"EdDSA"}),
    ],
    ids=words,
)
def test_a_key_verifies_what_its_kind_can(jwk: dict[str, Any], algorithms: set[str]) -> None:
    (key,) = read(jwk)
    assert key.algorithms == algorithms
    assert key.kid == jwk.get("kid")


def short() -> dict[str, Any]:
    public = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    return {**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": "short"}


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": ["RSA"]},
        {"kty": "none"},
        RSA | {"alg": "HS256"},
        RSA | {"alg": "none"},
        RSA | {"alg": ["RS256"]},
        RSA | {"use": "enc"},
        RSA | {"key_ops": ["encrypt"]},
        RSA | {"key_ops": 7},
        RSA | {"kid": 7},
        RSA | {"n": "AQAB!"},
        RSA | {"n": 7},
        without(RSA, "n"),
        EC | {"alg": "ES384"},
        EC | {"crv": "secp256k1"},
        EC | {"x": EC["y"]},
        without(EC, "crv"),
        ED | {"crv": "X25519"},
        ED | {"d": "c2VjcmV0"},
        ED | {"x": "AAAA"},
        short(),
    ],
    ids=words,
)
def test_a_key_that_cannot_be_used_safely_is_passed_over(jwk: dict[str, Any]) -> None:
    assert [key.kid for key in read(jwk, ED)] == [ED["kid"]]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [7]}', b"\xff", b"[" * 100_000])
def test_what_is_no_jwks_is_told_apart_from_one_without_keys(document: bytes) -> None:
    with pytest.raises(BadKeys):
        read_keys(document)
    assert read_keys(b'{"keys": []}') == ()
