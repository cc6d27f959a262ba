"""Towards browsers: the headers that they obey, and what pages of other sites may send and see (`service.front`)."""

from __future__ import annotations

from service.auth.site import Site

# Probes ask by address, and learn nothing but whether it works.
HEALTH = frozenset({"/healthz", "/readyz"})

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`, with which browsers send `Origin: null` for a page's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TRANSPORT_SECURITY = "max-age=63072000"

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SENT_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "Report-Builder-Team")
SHOWN_HEADERS = (
    "Content-Disposition", "ETag", "Location", "Log-Head", "More", "Next-After", "RateLimit", "RateLimit-Policy",
    "Report-Run", "Complete-Through", "Report-Drift", "Report-Segments", "Retry-After", "WWW-Authenticate",
)  # fmt: skip


def headers_of(site: Site) -> dict[str, str]:
    """What every answer carries, where its route has not set it itself."""
    return HEADERS | ({"Strict-Transport-Security": TRANSPORT_SECURITY} if site.https else {})
