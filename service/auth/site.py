"""Where the service is reached: its own addresses, which hosts and which other sites it answers to, its cookies.

A browser sends requests that its person does not know of. The Host says by which name it has found us (a page
of an attacker's may have made that name lead here), Origin and Sec-Fetch-Site whose page it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from service.auth.addresses import is_loopback
from service.problems import Refused
from service.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::([0-9]{1,5}))?")
# What proxies add. A person at this machine sends none of it.
_FORWARDED = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)

# What browsers add to what a page sends; without any of it there is nothing to refuse.
_OF_PAGES = frozenset((b"origin", b"sec-fetch-site"))


class Site:
    """The service's addresses, as the settings name them."""

    def __init__(self, settings: Settings) -> None:
        self.public_origin = settings.public_url.rstrip("/").lower() if settings.public_url else None
        self.public_host = urlsplit(self.public_origin or "").netloc
        self.other_origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self.hosts = LOOPBACK_NAMES | {name.strip("[]").lower() for name in settings.allowed_hosts}
        self.hosts |= {
            named.strip("[]") for named in (urlsplit(self.public_origin or "").hostname, settings.host) if named
        }

    @property
    def https(self) -> bool:
        """Whether people reach the service by https."""
        return self.public_origin is not None and self.public_origin.startswith("https:")

    def knows_host(self, headers: Headers) -> bool:
        """Whether a request was sent to one of our names. The port may be another: it is often mapped."""
        sent = headers.getlist("host")
        return len(sent) == 1 and _host_name(sent[0]) in self.hosts

    def origin(self, request: Request) -> str:
        """The origin under which the request's sender sees the service."""
        return self.public_origin or f"http://{request.headers['host']}"

    def is_own(self, origin: str, request: Request) -> bool:
        """Whether a page of this origin is the service's own."""
        host = request.headers.get("host", "").lower()
        if host == self.public_host:
            return origin == self.public_origin
        return origin in (f"http://{host}", f"https://{host}")

    def refuse_other_sites(self, request: Request, *, own_alone: bool = False) -> None:
        """Raises Refused for what a page of another site had its reader's browser send.

        Sites that the settings allow may, unless `own_alone`. What a browser opens as a page may come from
        anywhere: it is shown to its person, and changes nothing.
        """
        if _OF_PAGES.isdisjoint(name for name, _ in request.headers.raw):
            return
        origin = request.headers.get("origin")
        if origin is not None:
            if self.is_own(origin.lower(), request) or (not own_alone and origin.lower() in self.other_origins):
                return
            raise Refused("cross_origin", f"the request comes from a page of {origin[:200]!r}; send it without Origin")
        opened = request.headers.get("sec-fetch-mode") == "navigate" and request.method in SAFE_METHODS
        framed = request.headers.get("sec-fetch-dest") not in (None, "document")
        if request.headers.get("sec-fetch-site", "none") in ("cross-site", "same-site") and (framed or not opened):
            raise Refused("cross_origin", "the request comes from a page of another site")

    def is_local(self, request: Request) -> bool:
        """Whether the request was sent on this machine, by whoever sits there, and not passed on by a proxy."""
        client = request.client
        forwarded = not _FORWARDED.isdisjoint(name for name, _ in request.headers.raw)
        return (
            client is not None
            and is_loopback(client.host)
            and is_loopback(_host_name(request.headers.get("host", "")) or "")
            and not forwarded
        )

    def cookie_name(self, request: Request, purpose: str) -> str:
        """A cookie's name. Browsers keep one jar for all ports of a host: on loopback each port has its own."""
        if self._secure(request):
            return f"__Host-report_builder_{purpose}"
        port = request.headers["host"].rpartition("]")[2].partition(":")[2]
        return f"report_builder_{purpose}_{port or 80}"

    def set_cookie(self, request: Request, response: Response, purpose: str, value: str, seconds: float) -> None:
        """Gives the browser a cookie that no script can read and that other sites' writes do not carry."""
        response.set_cookie(
            self.cookie_name(request, purpose),
            value,
            max_age=int(seconds),
            path="/",
            secure=self._secure(request),
            httponly=True,
            samesite="lax",
        )

    def clear_cookie(self, request: Request, response: Response, purpose: str) -> None:
        """Takes it away."""
        self.set_cookie(request, response, purpose, "", 0)

    def _secure(self, request: Request) -> bool:
        """Over plain http only to this machine itself."""
        return self.https or not is_loopback(_host_name(request.headers.get("host", "")) or "")


@lru_cache(1024)
def _host_name(host: str) -> str | None:
    """The name in a Host header, None where it is none."""
    found = _HOST.fullmatch(host.lower())
    return (found[1] or found[2]) if found else None
