"""Errors outside of any body: addresses, methods, faults, and the connection that outlives them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest

from service.problems import CATALOGUE
from tests.service import UNKNOWN_ID, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api: Service) -> Service:
    return shared_api


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing.html", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("DELETE", "/api/reports", 405, "method_not_allowed"),
        ("OPTIONS", "/api/workflows", 405, "method_not_allowed"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("GET", f"/api/data-collections/{UNKNOWN_ID}", 404, "not_found"),
        ("GET", "/api/data-collections/nonsense", 404, "not_found"),
        ("GET", f"/api/data-collections/{UNKNOWN_ID}/progress", 404, "not_found"),
        ("GET", f"/api/data-collections/{UNKNOWN_ID}/results", 404, "not_found"),
        ("GET", f"/api/data-collections/{UNKNOWN_ID}/results?format=xml", 400, "bad_request"),
        ("GET", "/api/events?limit=0", 400, "bad_request"),
        ("GET", "/api/events?limit=1001", 400, "bad_request"),
        ("GET", "/api/events?after=-1", 400, "bad_request"),
        ("GET", "/api/events?after=²", 400, "bad_request"),
        ("GET", "/api/events?after=" + "9" * 5000, 400, "bad_request"),
        ("GET", "/api/events/stream?after=x", 400, "bad_request"),
        ("GET", "/api/data-collections?status=done", 400, "bad_request"),
        ("GET", "/api/data-collections?lookback_type=%00", 400, "bad_request"),
        ("GET", "/api/data-collections?segmentation=hourly", 400, "bad_request"),
        ("GET", "/api/data-collections?limit=many", 400, "bad_request"),
        ("GET", "/api/workflows?min_position=x", 400, "bad_request"),
    ],
)
async def test_errors_are_problems_of_the_catalogue(
    api: Service, method: str, path: str, status: int, code: str
) -> None:
    answer = await api.send(method, path)
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert CATALOGUE[code] == (answer.json["status"], answer.json["title"])
    assert answer.json["type"].endswith(f"#{code}")
    assert answer.json["detail"]


async def test_a_wrong_method_is_told_all_that_the_address_takes(api: Service) -> None:
    answer = await api.send("PUT", "/api/workflows", {})
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert (await api.send("HEAD", "/api/workflows")).status == 200


async def test_refusals_are_no_faults_and_leave_the_connection_open(
    api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    connections = 0

    async def connected(*_: Any) -> None:
        nonlocal connections
        connections += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    async with aiohttp.ClientSession(api.program.api_url, trace_configs=[trace]) as http:
        with caplog.at_level(logging.WARNING):
            for method, path in (
                ("POST", "/api/workflows"),
                ("GET", f"/api/reports/{UNKNOWN_ID}"),
                ("GET", "/api/events?limit=0"),
                ("GET", "/api/nothing"),
            ):
                async with http.request(method, path) as response:
                    assert response.status in (400, 404, 422)
                    await response.read()
    assert connections == 1
    assert not caplog.records


async def test_a_fault_of_ours_is_500_without_its_details(
    api: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr("service.footing.read_each", broken)
    answer = await api.get(f"/api/reports/{UNKNOWN_ID}")
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert b"secret" not in answer.body
    assert "a secret of ours" in "".join(capsys.readouterr())


async def test_a_database_that_is_away_is_503_and_worth_another_try(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr("service.footing.read_each", away)
    answer = await api.get(f"/api/reports/{UNKNOWN_ID}")
    assert (answer.status, answer.json["code"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


async def test_pages_of_other_sites_may_not_write(api: Service) -> None:
    for origin in ("https://evil.example", "null", f"https://{api.http._base_url.host}"):  # type: ignore[union-attr]
        answer = await api.post("/api/reports", {"name": "x"}, Origin=origin)
        assert (answer.status, answer.json["code"]) == (403, "cross_origin")
    assert (await api.post("/api/reports", {"name": "x"}, Origin=str(api.program.api_url))).status == 201
    assert (await api.post("/api/reports", b"{}", Content_Type="text/plain")).status == 201


async def test_health_says_what_is_wrong(api: Service) -> None:
    assert await api.read("/healthz") == {"status": "alive"}
    ready = await api.read("/readyz")
    assert (ready["status"], ready["problems"]) == ("ready", {})


async def test_a_client_that_goes_away_within_its_body_is_no_fault(
    api: Service, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    host, port = str(api.program.api_url).removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/reports HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "request_failed" not in "".join(capsys.readouterr())
