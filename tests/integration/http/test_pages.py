"""The web interface as the service sends it."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.service import Service
from tests.service import shared_api as shared_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept_Encoding": "gzip"}


@pytest.fixture
def api(shared_api: Service) -> Service:
    return shared_api


@pytest.mark.parametrize("path", ["/", "/reports/new", "/reports/3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90/schedule"])
async def test_every_address_of_the_interface_is_its_page(api: Service, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert b'<div id="root">' in answer.body
    again = await api.get(path, If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


async def test_the_policy_lets_no_script_or_style_within_a_page_run(api: Service) -> None:
    answer = await api.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    page = answer.body.decode()
    assert re.findall(r"<script(?![^>]*src=)|<style|style=| on[a-z]+=", page) == []
    # Nothing is asked of another site.
    assert re.findall(r'(?:src|href)="(?!/)[^"]*"', page) == []


async def test_what_the_page_loads_is_compressed_and_kept_for_ever(api: Service) -> None:
    page = (await api.get("/")).body.decode()
    paths = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
    assert {path.rpartition(".")[2] for path in paths} >= {"js", "css", "svg"}
    for path in paths:
        plain = await api.get(path, Accept_Encoding="identity")
        assert plain.status == 200
        assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Content-Encoding" not in plain.headers
        async with api.http.get(path, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as zipped:
            assert zipped.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await zipped.read()) == plain.body
        async with api.http.get(path, headers={"Accept-Encoding": "br, gzip"}, auto_decompress=False) as packed:
            assert packed.headers["Content-Encoding"] == "br"
        async with api.http.get(
            path, headers={"Accept-Encoding": "br;q=0, gzip;q=0.5"}, auto_decompress=False
        ) as chosen:
            assert chosen.headers["Content-Encoding"] == "gzip"


async def test_what_is_not_there_says_so_to_people_and_to_programs(api: Service) -> None:
    person = await api.get("/nowhere", **BROWSER)
    assert (person.status, person.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    for path in ("/nowhere", "/api/nothing", "/api", "/assets/nothing.js", "/assets/../index.html", "/docs/nothing"):
        program = await api.get(path)
        assert (program.status, program.json["code"]) == (404, "not_found")
    for path in ("/api/nothing", "/assets/nothing.js"):
        assert (await api.get(path, **BROWSER)).json["code"] == "not_found"
    assert (await api.post("/", {})).json["code"] == "not_found"
    assert (await api.post("/reports/new", {})).json["code"] == "not_found"


async def test_the_pages_of_the_contract_are_still_there(api: Service) -> None:
    for path in ("/docs", "/docs/errors"):
        assert "Contents" in (await api.get(path, **BROWSER)).body.decode()
