"""The door: every request that is not public is admitted here, or refused.

A caller is known by a bearer token, else by a browser's session. What is sent is always checked. Where nothing is
sent, the caller is the local person, if the service is run for one (docs/decisions/0013-the-door.md).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from db.clock import DatabaseClock
from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from service.auth.addresses import is_loopback
from service.auth.caller import LOCAL, Caller
from service.auth.codes import Codes
from service.auth.documents import IssuerUnavailable, fetch
from service.auth.keys import KeySet, Source
from service.auth.oidc import Published, SignIn
from service.auth.own_key import ISSUER, OwnKey, own_key_file
from service.auth.principal import FOR_TEAM, Principal
from service.auth.sessions import Sessions, shows_csrf_token
from service.auth.site import SAFE_METHODS, Site
from service.auth.tokens import CredentialRefused, Issuer, credential_of, issuer_of, read_token
from service.auth.users import Users
from service.problems import Refused
from service.settings import Settings, SettingsError

log = structlog.get_logger()

MAX_KNOWN = 10_000

# How often a connection that stays open asks whether its credential still holds, in seconds.
STREAM_RECHECK = 10.0

SESSION = "session"
"""The purpose of the cookie that names a session."""

_LOCAL_PERSON = Principal(LOCAL.user_id, LOCAL.teams, LOCAL.scopes, None, "none")


class _Known(msgspec.Struct, frozen=True):
    """A token that was verified, and the version of the keys with which it was."""

    principal: Principal
    issuer: Issuer
    version: int


class Door:
    """Says on whose behalf a request comes. A token costs a signature check and a look at the database once."""

    def __init__(
        self,
        *,
        site: Site,
        issuers: Mapping[str, Issuer],
        team_claim: str,
        users: Users,
        sessions: Sessions,
        clock: DatabaseClock,
        sign_in: SignIn | None,
        for_local_person: bool,
        gives_codes: bool,
    ) -> None:
        self.site = site
        self.users = users
        self.sessions = sessions
        self.clock = clock
        self.sign_in = sign_in
        self.codes = Codes()
        self._issuers = issuers
        self._team_claim = team_claim
        self.for_local_person = for_local_person
        self._gives_codes = gives_codes
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def admit(self, request: Request) -> Caller:
        """The caller, whom `caller_of` then answers too. Raises Refused."""
        self.site.refuse_other_sites(request)
        try:
            principal = await self._recognise(request)
        except CredentialRefused as refused:
            raise self.refusal(request, refused) from None
        except IssuerUnavailable as error:
            raise issuer_unavailable(error) from None
        caller = principal.for_team(chosen_team(request))
        request.state.caller = caller
        return caller

    async def lapsed(self, request: Request) -> None:
        """Comes back once the credential of an admitted request does not hold any more: it is over, was ended,
        or its key was revoked."""
        while True:
            pause = STREAM_RECHECK
            if (end := request.state.caller.expires_at) is not None:
                pause = min(pause, max(end.timestamp() - self.clock.now(), 0.01))
            await asyncio.sleep(pause)
            try:
                await self._recognise(request)
            except (CredentialRefused, IssuerUnavailable):
                return
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                if end is not None and self.clock.now() >= end.timestamp():
                    return

    def forget(self, user_id: UUID) -> None:
        """Remembers nothing of a person any more: they were erased."""
        self.users.forget(user_id)
        self.sessions.forget(user_id)
        for name in [name for name, known in self._known.items() if known.principal.user_id == user_id]:
            self._known.pop(name, None)

    def refusal(self, request: Request, refused: CredentialRefused) -> Refused:
        """The one answer to every credential that does not hold, or is missing. Only the log has the cause."""
        client = request.client.host if request.client else None
        # The route and not the address, which may hold a one-time code.
        log.info("credential_refused", cause=str(refused), route=request.scope["route"].path, client=client)
        headers = {"WWW-Authenticate": "Bearer"}
        if self.site.cookie_name(request, SESSION) in request.cookies and "authorization" not in request.headers:
            # Else the browser would send it again and again, where without it it might be let in.
            response = Response()
            self.site.clear_cookie(request, response, SESSION)
            headers["Set-Cookie"] = response.headers["set-cookie"]
        return Refused("unauthenticated", "sign in, or send a token that is valid here", headers=headers)

    def problem(self) -> str | None:
        """What is wrong with the door, for `/readyz`."""
        closed = [name for name, issuer in self._issuers.items() if not issuer.keys.usable]
        return f"the keys of {', '.join(closed)} are not known" if closed else None

    def link(self, url: str) -> str | None:
        """An address of the service that signs its reader in as the local person, once; None where it must not."""
        return f"{url}/auth/code/{self.codes.make()}" if self._gives_codes else None

    async def open(self) -> None:
        """Fetches what the first request needs. An issuer that does not answer yet is asked again later."""
        await self.clock.measure()
        for issuer in self._issuers.values():
            await issuer.keys.fetch()

    async def run(self) -> None:
        """Keeps clock and keys up for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.clock.run())
            for issuer in self._issuers.values():
                tasks.create_task(issuer.keys.run())

    async def _recognise(self, request: Request) -> Principal:
        """Whose credential a request carries. Raises CredentialRefused, IssuerUnavailable, and Refused for a write
        that a page makes without showing its session's token."""
        token = credential_of(request.headers)
        if token is not None:
            return await self._bearer(token)
        if "cookie" in request.headers and (session := request.cookies.get(self.site.cookie_name(request, SESSION))):
            principal = await self.sessions.find(session)
            if principal is None:
                raise CredentialRefused("no such session")
            if request.method not in SAFE_METHODS:
                self.site.refuse_other_sites(request, own_alone=True)
                if not shows_csrf_token(session, request.headers.get("x-csrf-token")):
                    raise Refused("csrf_token_wrong", "send X-CSRF-Token as GET /auth/session answers it")
            return principal
        if self.for_local_person and self.site.is_local(request):
            return _LOCAL_PERSON
        raise CredentialRefused("none was sent")

    async def _bearer(self, token: str) -> Principal:
        name = hashlib.sha256(token.encode()).digest()
        known = self._known.get(name)
        if known is not None:
            keys = known.issuer.keys
            if keys.usable and keys.version == known.version and self.clock.now() < (known.principal.expires_at or 0):
                self._known.move_to_end(name)
                return known.principal
            del self._known[name]
        issuer = self._issuers.get(issuer_of(token))
        if issuer is None:
            raise CredentialRefused("not from an issuer of ours")
        version = issuer.keys.version
        identity = await read_token(token, issuer, self.clock.now(), team_claim=self._team_claim)
        user_id = await self.users.find(identity.issuer, identity.subject, identity.name, identity.email)
        principal = Principal(user_id, identity.teams, identity.scopes, identity.expires_at, "token")
        self._known[name] = _Known(principal, issuer, version)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return principal


def chosen_team(request: Request) -> str | None:
    """The team that the request names, by its header or, as a link has none, in its query. Raises Refused."""
    named = request.query_params.getlist(FOR_TEAM) if request.scope["query_string"] else []
    if named and request.method not in SAFE_METHODS:
        raise Refused("bad_request", f"{FOR_TEAM} is for reading alone; send Report-Builder-Team")
    header = request.headers.get("report-builder-team")
    if len({*named} | ({header} if header is not None else set())) > 1:
        raise Refused("bad_request", f"Report-Builder-Team and {FOR_TEAM} name several teams; name one")
    return named[0] if named else header


def issuer_unavailable(error: IssuerUnavailable) -> Refused:
    """What a caller is told while credentials cannot be checked."""
    log.warning("issuer_unavailable", error=str(error))
    return Refused("issuer_unavailable", "send it again in a few seconds", retry_after=5)


async def open_door(settings: Settings, pool: Pool, http: aiohttp.ClientSession) -> Door:
    """The door that the settings ask for; `http` asks the issuer. Raises SettingsError where a file is unfit."""
    issuers = {}
    has_issuer = settings.auth_issuer is not None
    if settings.auth_own_keys or not has_issuer:
        own = OwnKey(own_key_file(settings.data_dir))
        await own.jwks()  # made now, or refused now
        issuers[ISSUER] = Issuer(ISSUER, settings.auth_audience, _key_set(settings, own.jwks))
    sign_in = None
    if settings.auth_issuer is not None:
        name = settings.auth_issuer
        published = Published(http, name)
        keys = _issuers_keys(settings, published, http)
        issuers[name] = Issuer(name, settings.auth_audience, keys)
        if settings.auth_client_id is not None:
            sign_in = SignIn(
                http,
                published,
                keys,
                issuer=name,
                client_id=settings.auth_client_id,
                client_secret=settings.auth_client_secret,
                scope=settings.auth_sign_in_scope,
                grants=frozenset(settings.auth_sign_in_grants),
                team_claim=settings.auth_team_claim,
            )
    clock = DatabaseClock(pool)
    door = Door(
        site=Site(settings),
        issuers=issuers,
        team_claim=settings.auth_team_claim,
        users=Users(pool),
        sessions=Sessions(pool, clock, lifetime=settings.auth_session_lifetime),
        clock=clock,
        sign_in=sign_in,
        for_local_person=not has_issuer and not settings.auth_own_keys,
        gives_codes=not has_issuer and is_loopback(settings.host),
    )
    await door.open()
    return door


def _issuers_keys(settings: Settings, published: Published, http: aiohttp.ClientSession) -> KeySet:
    """The keys from where the settings say that they are, else from where the issuer says."""
    place = settings.auth_jwks
    if place is None:
        return _key_set(settings, published.jwks)
    if "://" in place:
        return _key_set(settings, lambda: fetch(http, place))
    file = Path(place)
    if not file.is_file():
        raise SettingsError(f"REPORT_BUILDER_AUTH_JWKS: there is no file {place}")

    async def read() -> bytes:
        return await asyncio.to_thread(file.read_bytes)

    return _key_set(settings, read)


def _key_set(settings: Settings, source: Source) -> KeySet:
    return KeySet(source, refresh=settings.auth_jwks_refresh, keep=settings.auth_jwks_keep)
