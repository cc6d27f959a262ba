"""Refuses to start with a door that stands open, or that nobody could pass."""

from __future__ import annotations

from urllib.parse import urlsplit

from service.auth.addresses import is_loopback, is_safe
from service.settings import Settings, SettingsError


def refuse_unsafe(settings: Settings) -> None:
    """Raises SettingsError, with the variable to change, for settings of the door that do not go together."""
    on_loopback = is_loopback(settings.host)
    if not on_loopback and settings.auth_issuer is None and not settings.auth_own_keys:
        raise SettingsError(
            f"REPORT_BUILDER_HOST={settings.host} lets others reach the service, and nothing says who may: set"
            " REPORT_BUILDER_AUTH_ISSUER, or REPORT_BUILDER_AUTH_OWN_KEYS=true and give out tokens of"
            " `report-builder token`"
        )
    _refuse_unsafe_addresses(settings)
    needs_issuer = {"AUTH_JWKS": settings.auth_jwks, "AUTH_CLIENT_ID": settings.auth_client_id}
    for name, value in needs_issuer.items():
        if value is not None and settings.auth_issuer is None:
            raise SettingsError(f"REPORT_BUILDER_{name} means nothing without REPORT_BUILDER_AUTH_ISSUER")
    if settings.auth_client_id is not None and settings.public_url is None and not on_loopback:
        raise SettingsError("the issuer sends browsers back to REPORT_BUILDER_PUBLIC_URL: set it")
    if settings.auth_jwks_keep < settings.auth_jwks_refresh:
        raise SettingsError("REPORT_BUILDER_AUTH_JWKS_KEEP must be at least REPORT_BUILDER_AUTH_JWKS_REFRESH")


def _refuse_unsafe_addresses(settings: Settings) -> None:
    """Of what we are sent and send people to, nothing may go over plain http but to this machine itself."""
    if settings.auth_issuer is not None and not is_safe(settings.auth_issuer):
        raise SettingsError("REPORT_BUILDER_AUTH_ISSUER must be an https address, as the issuer's tokens name it")
    if settings.auth_jwks is not None and "://" in settings.auth_jwks and not is_safe(settings.auth_jwks):
        raise SettingsError("REPORT_BUILDER_AUTH_JWKS must be an https address or a file")
    if settings.public_url is not None and not (is_safe(settings.public_url) and _is_origin(settings.public_url)):
        raise SettingsError("REPORT_BUILDER_PUBLIC_URL must be an https address without a path")
    for origin in settings.cors_origins:
        if not _is_origin(origin):
            raise SettingsError(
                f"REPORT_BUILDER_CORS_ORIGINS: {origin!r} is no origin, as https://tools.example.com is"
            )


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.path in ("", "/")
            and not parts.query
            and not parts.fragment
            and not url.endswith("#")
        )
    except ValueError:
        return False
