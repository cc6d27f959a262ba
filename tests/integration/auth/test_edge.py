"""What keeps other sites and strange names out, and the headers that every answer carries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.auth.conftest import Start
from tests.provider import Provider
from tests.service import Service
from tests.service import shared_api as shared_api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api: Service) -> Service:
    """A service for the one local person."""
    return shared_api


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.", "localhost@evil.example", "", "[::1", "127.0.0.1:x",
     "10.0.0.1", "0.0.0.0", "localhost:8080:8080"],
)  # fmt: skip
async def test_a_name_that_is_not_ours_is_refused(api: Service, host: str) -> None:
    for method, path in (("GET", "/api/workflows"), ("POST", "/api/reports"), ("GET", "/auth/session"), ("GET", "/")):
        answer = await api.send(method, path, Host=host)
        assert (answer.status, answer.json["code"]) == (421, "unknown_host")
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await api.get("/healthz", Host=host)).status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99999", "[::1]", "[::1]:8080"])
async def test_the_names_of_loopback_are_ours(api: Service, host: str) -> None:
    assert (await api.get("/api/workflows", Host=host)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:5173"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    ],
    ids=str,
)
async def test_pages_of_other_sites_are_not_the_local_person(api: Service, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/api/workflows"), ("GET", "/api/events/stream"), ("POST", "/api/reports")):
        answer = await api.send(method, path, **headers)
        assert (answer.status, answer.json["code"]) == (403, "cross_origin")
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_link_on_another_site_may_be_followed(api: Service) -> None:
    headers = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert (await api.get("/api/workflows", **headers)).status == 200
    assert (await api.post("/api/reports", {}, **headers)).status == 403


@pytest.mark.parametrize("header", ["Forwarded", "Via", "X-Forwarded-For", "X-Real-IP"])
async def test_who_comes_through_a_proxy_is_not_the_local_person(api: Service, header: str) -> None:
    assert (await api.get("/api/workflows", **{header: "127.0.0.1"})).status == 401


async def test_a_credential_that_is_sent_is_checked_though_none_is_needed(api: Service) -> None:
    assert (await api.get("/api/workflows")).status == 200
    assert (await api.get("/api/workflows", Authorization="Bearer nonsense")).status == 401
    assert (await api.get("/api/workflows", Report_Builder_Team="another")).status == 403


async def test_the_local_person_is_who_they_always_were(api: Service) -> None:
    session = (await api.get("/auth/session")).json
    assert session["user_id"] == "00000000-0000-7000-8000-000000000001"
    assert (session["team_id"], session["credential"], len(session["scopes"])) == ("local", "none", 6)


@pytest.mark.parametrize("path", ["/healthz", "/api/workflows", "/api/nothing", "/api/events?limit=0"])
async def test_every_answer_tells_browsers_what_not_to_do(api: Service, path: str) -> None:
    await carries_the_headers(api, path)


async def test_an_answer_to_a_fault_does_so_too(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("service.auth.door.Door.admit", broken)
    assert (await api.get("/api/workflows")).status == 500
    await carries_the_headers(api, "/api/workflows")


async def carries_the_headers(api: Service, path: str) -> None:
    headers = (await api.get(path)).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers
    assert "Server" not in headers


async def test_a_body_that_is_too_large_is_refused(api: Service) -> None:
    answer = await api.post("/api/reports", b" " * (2 * 1024 * 1024 + 1))
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


async def test_no_other_origin_is_allowed_unless_it_is_named(api: Service) -> None:
    asked = {"Origin": "https://tools.example", "Access_Control_Request_Method": "POST"}
    answer = await api.send("OPTIONS", "/api/reports", **asked)
    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_a_named_origin_may_call_with_a_token_and_no_other_may(start: Start, issuer: Provider) -> None:
    async with start(auth_issuer=issuer.issuer, cors_origins=("https://tools.example",)) as service:
        asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,if-match"}
        allowed = await service.send("OPTIONS", "/api/reports", Origin="https://tools.example", **asked)
        assert allowed.status == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://tools.example"
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        token = f"Bearer {issuer.token()}"
        answer = await service.post("/api/reports", {}, Origin="https://tools.example", Authorization=token)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (201, "https://tools.example")
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        for other in ("https://evil.example", "http://tools.example", "https://tools.example:444"):
            answer = await service.post("/api/reports", {}, Origin=other, Authorization=token)
            assert (answer.status, answer.json["code"]) == (403, "cross_origin")
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in answer.headers["Vary"]


async def test_behind_https_its_own_pages_may_write_and_browsers_keep_to_it(start: Start, issuer: Provider) -> None:
    public = {"public_url": "https://Reports.example.com/", "allowed_hosts": ("api.internal",)}
    async with start(auth_issuer=issuer.issuer, **public) as service:
        token = f"Bearer {issuer.token()}"
        sent = {"Host": "reports.example.com", "Authorization": token}
        answer = await service.post("/api/reports", {}, Origin="https://reports.example.com", **sent)
        assert answer.status == 201
        assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
        answer = await service.post("/api/reports", {}, Origin="http://reports.example.com", **sent)
        assert answer.json["code"] == "cross_origin"
        assert (await service.get("/api/workflows", Host="api.internal:81", Authorization=token)).status == 200


async def test_own_keys_close_the_door_on_loopback_too(start: Start) -> None:
    async with start(auth_own_keys=True) as service:
        assert (await service.get("/api/workflows")).status == 401
        assert service.program.sign_in_url
