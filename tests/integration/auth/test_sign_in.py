"""Sign-in in a browser: OpenID Connect at a provider, the one-time code on loopback, sessions, and forged writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg
import msgspec
import pytest
import pytest_asyncio
from yarl import URL

from service.auth import codes, door, sessions
from tests.integration.auth.conftest import ROLES, Start
from tests.integration.auth.test_tokens import refused
from tests.postgres import Database, Server
from tests.provider import CLIENT, SECRET, Provider, running_provider
from tests.service import Answer, Service, serving, settings_for
from tests.service import shared_api as shared_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUR_SCOPES = "openid reports:write events:read"


class Browser:
    """Keeps cookies, says whose page a write comes from, and goes where it is sent."""

    def __init__(self, http: aiohttp.ClientSession, service: Service) -> None:
        self.http = http
        self.url = str(service.program.api_url)

    async def send(self, method: str, path: str, follow: bool = True, /, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = b'{"name": "x"}' if method == "POST" and path.startswith("/api") else None
        address = URL(path if path.startswith("http") else self.url + path, encoded=True)
        async with self.http.request(method, address, data=data, headers=sent, allow_redirects=follow) as response:
            return Answer(response.status, response.headers, await response.read())

    async def open(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, **headers)

    async def write(self, path: str = "/api/reports", *, csrf: str | None = None, **headers: str) -> Answer:
        """A write by a page of the service's own, unless the headers say otherwise."""
        sent = {"Origin": self.url, "Sec_Fetch_Site": "same-origin"} | headers
        return await self.send("POST", path, **sent, **({"X_CSRF_Token": csrf} if csrf else {}))

    @property
    def cookies(self) -> list[str]:
        return [f"{cookie.key}={cookie.value}" for cookie in self.http.cookie_jar]


@asynccontextmanager
async def browsing(service: Service) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=30)
    ) as http:
        yield Browser(http, service)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    postgres_server: Server, issuer: Provider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service that people sign in to at the issuer."""
    async with postgres_server.fresh_database() as database:
        settings = msgspec.structs.replace(
            settings_for(database, tmp_path_factory.mktemp("data")),
            auth_issuer=issuer.issuer,
            auth_client_id=CLIENT,
            auth_client_secret=SECRET,
            auth_sign_in_scope=OUR_SCOPES,
        )
        async with serving(settings, ROLES) as service:
            issuer.redirect_uris.add(f"{service.program.api_url}/auth/callback")
            yield service


@pytest.fixture
def provider(issuer: Provider) -> Iterator[Provider]:
    """The issuer, to have it answer otherwise for one test."""
    yield issuer
    issuer.id_token_changes, issuer.granted = {}, None


@pytest_asyncio.fixture(loop_scope="module")
async def browser(service: Service) -> AsyncIterator[Browser]:
    async with browsing(service) as browser:
        yield browser


def set_cookies(answer: Answer) -> list[str]:
    return answer.headers.getall("Set-Cookie", [])  # type: ignore[attr-defined, no-any-return]


async def signed_in(browser: Browser) -> dict[str, Any]:
    answer = await browser.open("/auth/sign-in")
    assert answer.status == 200, answer.body
    session: dict[str, Any] = answer.json
    return session


async def test_a_person_signs_in_at_the_provider_and_writes(browser: Browser) -> None:
    assert (await browser.open("/auth/session")).status == 401
    session = await signed_in(browser)
    assert (session["name"], session["credential"]) == ("Ada", "session")
    assert (session["team_id"], session["teams"]) == ("red", ["red", "blue"])
    assert session["scopes"] == ["events:read", "reports:write"]
    assert (await browser.write(csrf=session["csrf_token"])).status == 201
    assert (await browser.open("/api/events")).status == 200


async def test_a_sign_in_leads_where_it_was_to_lead_and_nowhere_else(browser: Browser) -> None:
    answer = await browser.open("/auth/sign-in?return_to=/api/workflows?limit=")
    assert answer.status == 400, "what it leads to is opened"
    answer = await browser.open("/auth/sign-in?return_to=/healthz")
    assert answer.json == {"status": "alive"}
    for other in ("https://evil.example", "//evil.example", "/\\evil.example", "healthz", "/a%0Ab", "/a%0A", ""):
        answer = await browser.send("GET", f"/auth/sign-in?return_to={other}", False)
        assert answer.status == 400, other


async def test_the_cookie_is_for_no_script_and_for_no_other_site(browser: Browser, provider: Provider) -> None:
    first = await browser.send("GET", "/auth/sign-in", False)
    attempt, challenge = set_cookies(first)[0], parse_qs(urlsplit(first.headers["Location"]).query)
    assert first.status == 303
    assert challenge["code_challenge_method"] == ["S256"]
    assert challenge["state"][0] not in challenge["nonce"]
    second = await browser.send("GET", first.headers["Location"], False)
    third = await browser.send("GET", second.headers["Location"], False)
    session = next(cookie for cookie in set_cookies(third) if "_session_" in cookie)
    for cookie in (attempt, session):
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
    assert "Max-Age=0" in next(cookie for cookie in set_cookies(third) if "_sign_in_" in cookie)


async def test_by_https_the_cookie_is_bound_to_it(start: Start, provider: Provider) -> None:
    settings = {"auth_client_id": CLIENT, "public_url": "https://reports.example.com"}
    async with start(auth_issuer=provider.issuer, **settings) as service:
        answer = await service.http.get("/auth/sign-in", allow_redirects=False, headers={"Host": "reports.example.com"})
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-report_builder_sign_in=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        redirect = parse_qs(urlsplit(answer.headers["Location"]).query)["redirect_uri"]
        assert redirect == ["https://reports.example.com/auth/callback"]


FORGED: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "another state": lambda given: given | {"state": "x" * 32},
    "no state": lambda given: {name: given[name] for name in given if name != "state"},
    "another code": lambda given: given | {"code": "x" * 16},
    "another issuer": lambda given: given | {"iss": "https://evil.example"},
    "no issuer": lambda given: {name: given[name] for name in given if name != "iss"},
    "an error": lambda given: {"error": "access_denied", "state": given["state"]},
}


@pytest.mark.parametrize("forged", FORGED)
async def test_an_answer_that_is_not_the_providers_signs_nobody_in(browser: Browser, forged: str) -> None:
    first = await browser.send("GET", "/auth/sign-in", False)
    second = await browser.send("GET", first.headers["Location"], False)
    address = URL(second.headers["Location"])
    refused(await browser.open(str(address.with_query(FORGED[forged](dict(address.query))))))
    assert (await browser.open("/auth/session")).status == 401


async def test_an_answer_is_good_in_the_browser_that_began_and_once(browser: Browser, service: Service) -> None:
    first = await browser.send("GET", "/auth/sign-in", False)
    second = await browser.send("GET", first.headers["Location"], False)
    async with browsing(service) as victim:
        refused(await victim.open(second.headers["Location"]))
        await victim.send("GET", "/auth/sign-in", False)
        refused(await victim.open(second.headers["Location"]))
    assert (await browser.send("HEAD", second.headers["Location"])).status == 200
    assert (await browser.open(second.headers["Location"])).status == 200
    refused(await browser.open(second.headers["Location"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "report-builder"},
        {"azp": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"sub": ""},
    ],
    ids=str,
)
async def test_an_id_token_that_does_not_fit_signs_nobody_in(
    browser: Browser, provider: Provider, changes: dict[str, Any]
) -> None:
    provider.id_token_changes = changes
    refused(await browser.open("/auth/sign-in"))


async def test_an_id_token_is_no_bearer_token(service: Service, provider: Provider) -> None:
    refused(await service.get("/auth/session", Authorization=f"Bearer {provider.token(aud=CLIENT)}"))


async def test_nobody_gets_more_than_was_asked_for(browser: Browser, provider: Provider) -> None:
    provider.granted = "openid admin events:read"
    assert (await signed_in(browser))["scopes"] == ["events:read"]


async def test_everybody_may_be_given_scopes_of_ours(start: Start, provider: Provider) -> None:
    settings = {"auth_client_id": CLIENT, "auth_client_secret": SECRET, "auth_sign_in_grants": ("schedules:write",)}
    async with start(auth_issuer=provider.issuer, **settings) as service, browsing(service) as browser:
        provider.redirect_uris.add(f"{service.program.api_url}/auth/callback")
        assert (await signed_in(browser))["scopes"] == ["schedules:write"]


async def test_a_provider_that_is_away_is_503(start: Start) -> None:
    async with running_provider() as provider:
        provider.down = True
        async with start(auth_issuer=provider.issuer, auth_client_id=CLIENT) as service, browsing(service) as browser:
            answer = await browser.open("/auth/sign-in")
            assert (answer.status, answer.json["code"]) == (503, "issuer_unavailable")
            provider.down = False
            assert (await browser.send("GET", "/auth/sign-in", False)).status == 303


async def test_forged_writes_with_a_cookie_are_refused(browser: Browser, service: Service) -> None:
    pool = service.program.pool
    before = await pool.fetchval("SELECT coalesce(max(position), 0) FROM report_builder_audit")
    token = (await signed_in(browser))["csrf_token"]
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", browser.url.replace("http:", "ftp:")):
        answer = await browser.write(csrf=token, Origin=origin)
        assert (answer.status, answer.json["code"]) == (403, "cross_origin"), origin
        assert "Access-Control-Allow-Origin" not in answer.headers
    for site in ("cross-site", "same-site"):
        answer = await browser.send("POST", "/api/reports", X_CSRF_Token=token, Sec_Fetch_Site=site)
        assert (answer.status, answer.json["code"]) == (403, "cross_origin"), site
        opened = await browser.send(
            "POST", "/api/reports", X_CSRF_Token=token, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate"
        )
        assert opened.status == 403
    for shown in (None, "", token[:-1], token + "x", "é"):
        answer = await browser.write(csrf=shown)
        assert (answer.status, answer.json["code"]) == (403, "csrf_token_wrong"), shown
    assert (await browser.write(csrf=token)).status == 201
    assert (await pool.fetchval("SELECT max(position) FROM report_builder_audit")) == before + 1


async def test_one_sessions_token_is_not_anothers(browser: Browser, service: Service) -> None:
    await signed_in(browser)
    async with browsing(service) as other:
        token = (await signed_in(other))["csrf_token"]
    assert (await browser.write(csrf=token)).status == 403


async def test_signing_out_ends_the_session_and_a_write_may_not_be_forged(browser: Browser, service: Service) -> None:
    token = (await signed_in(browser))["csrf_token"]
    (cookie,) = browser.cookies
    assert (await browser.write("/auth/sign-out")).status == 403
    answer = await browser.write("/auth/sign-out", csrf=token)
    assert answer.json == {"signed_out": True}
    assert browser.cookies == []
    answer = await service.get("/auth/session", Cookie=cookie)
    refused(answer)
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


async def test_all_sessions_of_a_person_can_be_ended_in_every_process(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browsing(service) as lost, browsing(service) as own:
        await signed_in(lost)
        token = (await signed_in(own))["csrf_token"]
        (cookie,) = lost.cookies
        async with serving(service.settings, ROLES) as other:
            # Another process has another port here, and so another name for the cookie.
            value = cookie.partition("=")[2]
            elsewhere = f"report_builder_session_{URL(str(other.program.api_url)).port}={value}"
            assert (await other.get("/auth/session", Cookie=elsewhere)).status == 200
            async with own.http.post(
                f"{own.url}/auth/sign-out", json={"everywhere": True}, headers={"X-CSRF-Token": token}
            ) as answer:
                assert answer.status == 200
            assert (await lost.open("/auth/session")).status == 401
            monkeypatch.setattr(sessions, "RECHECK", 0.0)
            refused(await other.get("/auth/session", Cookie=elsewhere))


async def test_a_session_ends_by_the_databases_clock(
    start: Start, provider: Provider, database: Database, later: Callable[[float], None]
) -> None:
    settings = {"auth_client_id": CLIENT, "auth_client_secret": SECRET}
    async with start(auth_issuer=provider.issuer, **settings) as service, browsing(service) as browser:
        provider.redirect_uris.add(f"{service.program.api_url}/auth/callback")
        await signed_in(browser)
        later(43200 + 60)  # no longer remembered as valid, so looked up again
        assert (await browser.open("/auth/session")).status == 200
        admin = await asyncpg.connect(database.admin_url)
        await admin.execute("UPDATE sign_in_sessions SET expires_at = clock_timestamp()")
        await admin.close()
        refused(await browser.open("/auth/session"))


async def test_the_database_holds_nothing_that_opens_a_session(browser: Browser, service: Service) -> None:
    session = await signed_in(browser)
    row = await service.program.pool.fetchval("SELECT string_agg(s::text, '') FROM sign_in_sessions s")
    assert browser.cookies[0].partition("=")[2] not in row
    assert session["csrf_token"] not in row


async def test_a_live_stream_ends_with_its_session(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "STREAM_RECHECK", 0.05)
    token = (await signed_in(browser))["csrf_token"]
    async with browser.http.get(f"{browser.url}/api/events/stream") as response:
        assert await response.content.readuntil(b"caught-up")
        await browser.write("/auth/sign-out", csrf=token)
        await response.content.read()


async def test_the_link_of_the_start_signs_in_once_and_on_this_machine_alone(
    shared_api: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    link = str(shared_api.program.sign_in_url)
    refused(await shared_api.get(URL(link).path, X_Forwarded_For="203.0.113.9"))
    refused(await shared_api.get("/auth/code/guessed"))
    said = "".join(capsys.readouterr())
    assert "credential_refused" in said
    assert URL(link).name not in said
    async with browsing(shared_api) as browser, browsing(shared_api) as second:
        assert (await browser.send("HEAD", link)).status == 200
        answers = await asyncio.gather(browser.open(link), second.open(link))
        assert sorted(answer.status for answer in answers) == [200, 401]
        winner = browser if browser.cookies else second
        session = (await winner.open("/auth/session")).json
        assert (session["credential"], session["team_id"], session["name"]) == ("session", "local", "Local person")
        assert (await winner.write(csrf=session["csrf_token"])).status == 201
        assert (await winner.write()).json["code"] == "csrf_token_wrong"


async def test_a_link_ends_soon(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "LIFETIME", 0.0)
    async with start() as service:
        refused(await service.get(URL(str(service.program.sign_in_url)).path))


async def test_a_session_that_is_over_is_taken_out_of_the_browser(shared_api: Service) -> None:
    name = f"report_builder_session_{URL(str(shared_api.program.api_url)).port}"
    answer = await shared_api.get("/auth/session", Cookie=f"{name}=gone")
    refused(answer)
    assert answer.headers["Set-Cookie"].startswith(f'{name}=""; ')
    assert (await shared_api.get("/auth/session")).json["credential"] == "none"


async def test_without_an_issuer_there_is_nowhere_to_sign_in(shared_api: Service) -> None:
    assert (await shared_api.get("/auth/sign-in")).status == 404
    refused(await shared_api.get("/auth/callback?state=x&code=y"))


async def test_a_site_that_may_call_may_still_not_use_its_readers_session(start: Start) -> None:
    tools = "http://localhost:5173"
    async with start(cors_origins=(tools,)) as service, browsing(service) as browser:
        assert (await browser.write(Origin=tools)).status == 201, "without a session it is the local person's page"
        assert (await browser.open(str(service.program.sign_in_url))).status == 200
        token = (await browser.open("/auth/session")).json["csrf_token"]
        answer = await browser.write(csrf=token, Origin=tools)
        assert (answer.status, answer.json["code"]) == (403, "cross_origin")
        assert (await browser.write(csrf=token)).status == 201
