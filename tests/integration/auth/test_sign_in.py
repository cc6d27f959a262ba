"""Sign-in in a browser: OpenID Connect at a provider, the one-time code on loopback, sessions, and forged writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from yarl import URL

from db.pool import Pool
from service.auth import door, sessions
from tests.integration.auth.conftest import Start
from tests.integration.auth.test_tokens import refused
from tests.provider import CLIENT, SECRET, Provider
from tests.service import Answer, Service

OUR_SCOPES = "openid reports:write events:read"


class Browser:
    """Keeps cookies, says whose page a write comes from, and goes where it is sent."""

    def __init__(self, http: aiohttp.ClientSession, service: Service) -> None:
        self.http = http
        self.url = str(service.program.api_url)

    async def send(self, method: str, path: str, *, follow: bool = True, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = b'{"name": "x"}' if method == "POST" and path.startswith("/api") else None
        address = URL(path if "://" in path else self.url + path, encoded=True)
        async with self.http.request(method, address, data=data, headers=sent, allow_redirects=follow) as response:
            return Answer(response.status, response.headers, await response.read())

    async def open(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, follow=True, **headers)

    async def write(self, path: str = "/api/reports", *, csrf: str | None = None, **headers: str) -> Answer:
        """A write by a page of the service's own, unless the headers say otherwise."""
        sent = {"Origin": self.url, "Sec_Fetch_Site": "same-origin"} | headers
        return await self.send("POST", path, follow=True, **sent, **({"X_CSRF_Token": csrf} if csrf else {}))

    @property
    def cookies(self) -> list[str]:
        return [f"{cookie.key}={cookie.value}" for cookie in self.http.cookie_jar]


@asynccontextmanager
async def browsing(service: Service) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Browser(http, service)


@pytest.fixture
async def service(start: Start, provider: Provider) -> AsyncIterator[Service]:
    """A service that people sign in to at the provider."""
    settings = {"auth_client_id": CLIENT, "auth_client_secret": SECRET, "auth_sign_in_scope": OUR_SCOPES}
    async with start(auth_issuer=provider.issuer, **settings) as service:
        provider.redirect_uris = {f"{service.program.api_url}/auth/callback"}
        yield service


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[Browser]:
    async with browsing(service) as browser:
        yield browser


@pytest.fixture
async def local(start: Start) -> AsyncIterator[Service]:
    """A service without an issuer."""
    async with start() as service:
        yield service


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
        answer = await browser.open(f"/auth/sign-in?return_to={other}", follow=False)  # type: ignore[arg-type]
        assert answer.status == 400, other


async def test_the_cookie_is_for_no_script_and_for_no_other_site(browser: Browser, provider: Provider) -> None:
    first = await browser.send("GET", "/auth/sign-in", follow=False)
    attempt, challenge = set_cookies(first)[0], parse_qs(urlsplit(first.headers["Location"]).query)
    assert first.status == 303
    assert challenge["code_challenge_method"] == ["S256"]
    assert challenge["state"][0] not in challenge["nonce"]
    second = await browser.send("GET", first.headers["Location"], follow=False)
    third = await browser.send("GET", second.headers["Location"], follow=False)
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
    first = await browser.send("GET", "/auth/sign-in", follow=False)
    second = await browser.send("GET", first.headers["Location"], follow=False)
    address = URL(second.headers["Location"])
    refused(await browser.open(str(address.with_query(FORGED[forged](dict(address.query))))))
    assert (await browser.open("/auth/session")).status == 401


async def test_an_answer_is_good_in_the_browser_that_began_and_once(browser: Browser, service: Service) -> None:
    first = await browser.send("GET", "/auth/sign-in", follow=False)
    second = await browser.send("GET", first.headers["Location"], follow=False)
    async with browsing(service) as victim:
        refused(await victim.open(second.headers["Location"]))
        await victim.send("GET", "/auth/sign-in", follow=False)
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
        provider.redirect_uris = {f"{service.program.api_url}/auth/callback"}
        assert (await signed_in(browser))["scopes"] == ["schedules:write"]


async def test_a_provider_that_is_away_is_503(browser: Browser, provider: Provider) -> None:
    provider.down = True
    answer = await browser.open("/auth/sign-in")
    # It said where to go before: with that the browser goes there, and finds out itself.
    assert answer.status == 503 or "code" in answer.json


async def test_forged_writes_with_a_cookie_are_refused(browser: Browser) -> None:
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
    assert (await browser.open("/api/events")).json["events"][0]["sequence"] == f"{1:020}"


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
    service: Service, start: Start, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browsing(service) as lost, browsing(service) as own:
        await signed_in(lost)
        token = (await signed_in(own))["csrf_token"]
        (cookie,) = lost.cookies
        async with start(auth_issuer=provider.issuer) as other:
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
    browser: Browser, pool: Pool, later: Callable[[float], None]
) -> None:
    await signed_in(browser)
    later(43200 + 60)  # no longer remembered as valid, so looked up again
    assert (await browser.open("/auth/session")).status == 200
    await pool.execute("SELECT 1")
    admin = "UPDATE sign_in_sessions SET expires_at = clock_timestamp()"
    with pytest.raises(Exception, match="permission denied"):
        await pool.execute(admin)


async def test_the_database_holds_nothing_that_opens_a_session(browser: Browser, pool: Pool) -> None:
    session = await signed_in(browser)
    row = await pool.fetchval("SELECT string_agg(s::text, '') FROM sign_in_sessions s")
    assert browser.cookies[0].partition("=")[2] not in row
    assert session["csrf_token"] not in row


async def test_a_live_stream_ends_with_its_session(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "STREAM_RECHECK", 0.05)
    token = (await signed_in(browser))["csrf_token"]
    async with browser.http.get(f"{browser.url}/api/events/stream") as response:
        assert await response.content.readuntil(b"caught-up")
        await browser.write("/auth/sign-out", csrf=token)
        await response.content.read()


async def test_the_link_of_the_start_signs_in_once(local: Service) -> None:
    link = str(local.program.sign_in_url)
    async with browsing(local) as browser, browsing(local) as second:
        assert (await browser.send("HEAD", link)).status == 200
        answers = await asyncio.gather(browser.open(link), second.open(link))
        assert sorted(answer.status for answer in answers) == [200, 401]
        session = next(answer.json for answer in answers if answer.status == 200)
        assert (session["credential"], session["team_id"], session["name"]) == ("session", "local", "Local person")
        winner = browser if browser.cookies else second
        assert (await winner.write(csrf=session["csrf_token"])).status == 201
        assert (await winner.write()).json["code"] == "csrf_token_wrong"


async def test_a_link_is_for_this_machine_and_ends_soon(local: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    link = URL(str(local.program.sign_in_url)).path
    refused(await local.get(link, X_Forwarded_For="203.0.113.9"))
    refused(await local.get("/auth/code/guessed"))
    monkeypatch.setattr("service.auth.codes.time.monotonic", lambda: 1e12)
    refused(await local.get(link))


async def test_a_session_that_is_over_is_taken_out_of_the_browser(local: Service) -> None:
    name = f"report_builder_session_{URL(str(local.program.api_url)).port}"
    answer = await local.get("/auth/session", Cookie=f"{name}=gone")
    refused(answer)
    assert answer.headers["Set-Cookie"].startswith(f'{name}=""; ')
    assert (await local.get("/auth/session")).json["credential"] == "none"


async def test_without_an_issuer_there_is_nowhere_to_sign_in(local: Service) -> None:
    assert (await local.get("/auth/sign-in")).status == 404
    refused(await local.get("/auth/callback?state=x&code=y"))
