"""Settings that would leave the door open, or shut for everybody, stop the start with a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from service.auth.safety import refuse_unsafe
from service.settings import Settings, SettingsError

ISSUER = {"auth_issuer": "https://issuer.example"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "127.8.9.1"},
        {"host": "0.0.0.0", **ISSUER},
        {"host": "0.0.0.0", "auth_own_keys": True},
        {"auth_issuer": "http://127.0.0.1:9000"},
        {"auth_jwks": "/etc/keys.json", **ISSUER},
        {"host": "::", "auth_client_id": "c", "public_url": "https://reports.example.com/", **ISSUER},
        {"cors_origins": ("https://tools.example", "http://localhost:5173")},
    ],
    ids=str,
)
def test_these_go_together(settings: dict[str, Any]) -> None:
    refuse_unsafe(Settings(**settings))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"host": "0.0.0.0"}, "AUTH_ISSUER"),
        ({"host": "::"}, "AUTH_OWN_KEYS"),
        ({"host": "reports.example.com"}, "HOST"),
        ({"host": "localhost.evil.example"}, "HOST"),
        ({"auth_issuer": "http://issuer.example"}, "AUTH_ISSUER"),
        ({"auth_issuer": "issuer.example"}, "AUTH_ISSUER"),
        ({"auth_issuer": "http://[::1"}, "AUTH_ISSUER"),
        ({"auth_jwks": "http://issuer.example/keys", **ISSUER}, "AUTH_JWKS"),
        ({"auth_jwks": "/etc/keys.json"}, "AUTH_ISSUER"),
        ({"auth_client_id": "c"}, "AUTH_ISSUER"),
        ({"auth_client_id": "c", "host": "0.0.0.0", **ISSUER}, "PUBLIC_URL"),
        ({"public_url": "http://reports.example.com"}, "PUBLIC_URL"),
        ({"public_url": "https://reports.example.com/path"}, "PUBLIC_URL"),
        ({"public_url": "https://a@reports.example.com"}, "PUBLIC_URL"),
        ({"cors_origins": ("*",)}, "CORS_ORIGINS"),
        ({"cors_origins": ("null",)}, "CORS_ORIGINS"),
        ({"cors_origins": ("https://tools.example/page",)}, "CORS_ORIGINS"),
        ({"auth_jwks_keep": 1.0}, "AUTH_JWKS_KEEP"),
    ],
    ids=str,
)
def test_these_do_not(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=f"REPORT_BUILDER_{named}"):
        refuse_unsafe(Settings(**settings))
