"""`/auth`: sign in and out in a browser, and who one is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from events.validation import Body, decode
from service.auth.caller import LOCAL, Credential, caller_of
from service.auth.documents import IssuerUnavailable
from service.auth.door import SESSION, Door, issuer_unavailable
from service.auth.oidc import ATTEMPT_LIFETIME, read_attempt
from service.auth.scopes import Scope
from service.auth.sessions import csrf_token
from service.auth.tokens import CredentialRefused
from service.endpoints import Answer, Endpoint, Query, read_query
from service.http import json_response
from service.problems import Refused

WHO = "/auth/session"
"""Where a sign-in leads unless it is told."""

HOME = "/"
"""Where the link that the start has printed leads: to the web interface."""

ATTEMPT = "sign_in"
"""The purpose of the cookie that holds a sign-in while its person is at the issuer."""


class SignInQuery(Query, frozen=True, kw_only=True):
    """Where to go on after the sign-in: a path of this service."""

    return_to: Annotated[str, Meta(max_length=1000, pattern=r"^/(?![/\\])[\x21-\x7e]*$(?!\n)")] = WHO


class CallbackQuery(Query, frozen=True, kw_only=True):
    """What an issuer answers through the browser, among what else it likes to add."""

    state: str = ""
    code: str = ""
    iss: str | None = None
    error: str | None = None


class SignOut(Body, frozen=True, kw_only=True):
    """Which sessions to end: this one, or all that the caller has, in other browsers too."""

    everywhere: bool = False


class SignedOut(Answer, frozen=True, kw_only=True):
    """The caller has signed out."""

    signed_out: bool = True


class SessionAnswer(Answer, frozen=True, kw_only=True):
    """Who the caller is. A page shows `csrf_token` as X-CSRF-Token in every write; null without a session."""

    user_id: UUID
    name: str | None
    email: str | None
    team_id: str
    teams: tuple[str, ...]
    scopes: tuple[Scope, ...]
    credential: Credential
    expires_at: datetime | None
    csrf_token: str | None


def auth_routes(door: Door) -> list[Endpoint]:
    """The routes of the door itself."""
    site = door.site

    async def sign_in(request: Request) -> Response:
        query = read_query(request, SignInQuery)
        if door.sign_in is None:
            raise Refused("not_found", "there is no sign-in here: use the link that the start has printed, or a token")
        try:
            address, attempt = await door.sign_in.begin(_callback(request), query.return_to)
        except IssuerUnavailable as error:
            raise issuer_unavailable(error) from None
        response = RedirectResponse(address, 303)
        site.set_cookie(request, response, ATTEMPT, attempt.packed(), ATTEMPT_LIFETIME)
        return response

    async def callback(request: Request) -> Response:
        if request.method == "HEAD":  # a code is traded in once
            return Response()
        try:
            return await _ended(request)
        except CredentialRefused as refused:
            raise door.refusal(request, refused) from None
        except IssuerUnavailable as error:
            raise issuer_unavailable(error) from None

    async def _ended(request: Request) -> Response:
        given = request.query_params
        if door.sign_in is None or given.get("error") is not None:
            raise CredentialRefused(f"the issuer answered {given.get('error', '')[:100]!r}")
        attempt = read_attempt(request.cookies.get(site.cookie_name(request, ATTEMPT), ""))
        identity = await door.sign_in.end(
            attempt,
            state=given.get("state", ""),
            code=given.get("code", ""),
            iss=given.get("iss"),
            redirect_uri=_callback(request),
            now=door.clock.now(),
        )
        user_id = await door.users.find(identity.issuer, identity.subject, identity.name, identity.email)
        token = await door.sessions.open(user_id, identity.teams, identity.scopes)
        response = RedirectResponse(attempt.return_to, 303)
        site.clear_cookie(request, response, ATTEMPT)
        site.set_cookie(request, response, SESSION, token, door.sessions.lifetime)
        return response

    async def use_code(request: Request) -> Response:
        if request.method == "HEAD":  # whoever looks whether a link is there does not use it up
            return Response()
        if not site.is_local(request) or not door.codes.use(request.path_params["code"]):
            raise door.refusal(request, CredentialRefused("no such code, or not from this machine"))
        token = await door.sessions.open(LOCAL.user_id, LOCAL.teams, LOCAL.scopes)
        response = RedirectResponse(HOME, 303)
        site.set_cookie(request, response, SESSION, token, door.sessions.lifetime)
        return response

    async def session(request: Request) -> Response:
        caller = caller_of(request)
        name, email = await door.users.describe(caller.user_id)
        answer = SessionAnswer(
            user_id=caller.user_id,
            name=name,
            email=email,
            team_id=caller.team_id,
            teams=caller.teams,
            scopes=tuple(sorted(caller.scopes)),
            credential=caller.credential,
            expires_at=caller.expires_at,
            csrf_token=csrf_token(_session(request)) if caller.credential == "session" else None,
        )
        return json_response(answer)

    async def sign_out(request: Request) -> Response:
        body = decode(SignOut, await request.body() or b"{}")
        caller = caller_of(request)
        if body.everywhere:
            await door.sessions.end_all(caller.user_id)
        elif caller.credential == "session":
            await door.sessions.end(_session(request))
        response = json_response(SignedOut())
        site.clear_cookie(request, response, SESSION)
        return response

    def _session(request: Request) -> str:
        return request.cookies[site.cookie_name(request, SESSION)]

    def _callback(request: Request) -> str:
        return f"{site.origin(request)}/auth/callback"

    return [
        Endpoint(
            "GET",
            "/auth/sign-in",
            sign_in,
            summary="Sign in at the issuer, in a browser",
            query=SignInQuery,
            answer=(),
            status=303,
            public=True,
            refusals=("not_found", "issuer_unavailable"),
        ),
        Endpoint(
            "GET",
            "/auth/callback",
            callback,
            summary="Where the issuer sends the browser back to",
            query=CallbackQuery,
            answer=(),
            status=303,
            public=True,
            refusals=("unauthenticated", "issuer_unavailable"),
        ),
        Endpoint(
            "GET",
            "/auth/code/{code}",
            use_code,
            summary="Sign in with the link that the start has printed",
            answer=(),
            status=303,
            public=True,
            refusals=("unauthenticated",),
        ),
        Endpoint("GET", "/auth/session", session, summary="Who am I", answer=SessionAnswer),
        Endpoint("POST", "/auth/sign-out", sign_out, summary="Sign out", body=SignOut, answer=SignedOut),
    ]
