"""What every request passes and every answer carries: the Host check, CORS, and headers that browsers obey.

It stands around the whole application, so that also answers to faults carry the headers.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.auth.site import Site
from service.problems import Refused, problem_response

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


class Edge:
    """The application behind its outermost checks. A header that a route sets itself stays as it is."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._headers = HEADERS | ({"Strict-Transport-Security": TRANSPORT_SECURITY} if site.https else {})
        # Tokens alone: without credentials, a page of another site never acts with its reader's cookies.
        self._shared = CORSMiddleware(
            app,
            allow_origins=sorted(site.other_origins),
            allow_methods=METHODS,
            allow_headers=SENT_HEADERS,
            expose_headers=SHOWN_HEADERS,
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if self._site.other_origins:
                    headers.add_vary_header("Origin")
            await send(message)

        if scope["path"] not in HEALTH and not self._site.knows_host(request_headers):
            refused = Refused("unknown_host", "send it to a name of the service, or add this one to its settings")
            await problem_response(refused)(scope, receive, send_with_headers)
        elif request_headers.get("origin", "").lower() in self._site.other_origins:
            await self._shared(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)
