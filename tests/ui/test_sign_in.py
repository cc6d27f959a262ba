"""Signing in, in the middle of a step too, for one team or another, and out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.postgres import Server
from tests.provider import CLIENT, SECRET, Provider, running_provider
from tests.ui.browsing import Tab
from tests.ui.ground import Ground, of_june, standing

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]

GRANTS = ("reports:write", "collections:write", "schedules:write", "events:read", "audit:read")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(
    postgres_server: Server, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    """A service that people sign in to at an issuer; Ada is in the teams red and blue."""
    async with standing(
        postgres_server,
        tmp_path_factory.mktemp("data"),
        auth_own_keys=True,
        auth_issuer=provider.issuer,
        auth_client_id=CLIENT,
        auth_client_secret=SECRET,
        auth_sign_in_scope="openid",
        auth_sign_in_grants=GRANTS,
    ) as ground:
        provider.redirect_uris.add(f"{ground.url}/auth/callback")
        yield ground


@asynccontextmanager
async def at(browser: Browser, url: str) -> AsyncIterator[Tab]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    tab = Tab(await context.new_page(), url)
    yield tab
    await context.close()
    assert tab.faults == []


async def test_signing_in_again_in_the_middle_of_a_step_loses_nothing(browser: Browser, guarded: Ground) -> None:
    path = await guarded.begun("In the middle")
    async with at(browser, guarded.url) as tab:
        await tab.open(f"{path}/parameters")
        await tab.on("Sign in")
        await tab.button("Sign in").click()
        await tab.on("Parameters")
        await expect(tab.page.get_by_role("button", name="Ada")).to_be_visible()
        await tab.choose("Workflow", "Reach of tracked products")
        # Once what was typed is checked, nothing but the save finds out that the sign-in has ended.
        async with tab.page.expect_response(lambda answer: "B000000001" in (answer.request.post_data or "")):
            await tab.field("asins").fill("B000000001")

        await tab.page.context.clear_cookies()
        await tab.button("Save and continue").click()
        await tab.on("Sign in")
        await tab.button("Sign in").click()
        await tab.on("Parameters")
        assert tab.page.url.endswith(f"{path}/parameters")
        await expect(tab.field("asins")).to_have_value("B000000001")
        # A write shows the token of the new session.
        await tab.choose("Workflow", "Clicks by campaign")
        await tab.button("Save and continue").click()
        await tab.on("Schedule")


async def test_a_person_works_for_one_team_at_a_time(
    browser: Browser, guarded: Ground, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guarded.begun("Of the red team")
    collection = await guarded.collection(of_june("monthly"), "June of the red team")
    monkeypatch.setitem(provider.person, "team", ["blue", "red"])
    async with at(browser, guarded.url) as tab:
        await tab.open("/reports")
        await tab.button("Sign in").click()
        await tab.page.get_by_role("heading", name="No reports yet").wait_for()
        await tab.page.get_by_role("button", name="Ada").click()
        await tab.chip("red").click()
        red = tab.page.get_by_role("link", name="Of the red team", exact=True)
        await red.wait_for()
        await tab.page.reload()
        await red.wait_for()

        await tab.open(f"/results/{collection}")
        async with tab.page.expect_download() as download:
            await tab.page.get_by_role("link", name="CSV").click()
        assert Path(await (await download.value).path()).read_text().startswith("segment_start,")

        await tab.open("/reports")
        await red.wait_for()
        await tab.page.get_by_role("button", name="Ada").click()
        await tab.chip("blue").click()
        await tab.page.get_by_role("heading", name="No reports yet").wait_for()

        # Who may read the log may read what other teams did.
        await tab.open("/audit")
        await tab.page.get_by_role("heading", name="Nothing has happened yet").wait_for()
        await tab.chip("All teams").click()
        events = tab.page.get_by_role("table", name="Events")
        await expect(events.get_by_role("row").nth(1)).to_contain_text(re.compile("team red|the service"))
        await events.get_by_role("link", name="Report begun").first.click()
        await expect(tab.page.get_by_role("definition").filter(has_text=re.compile("^red$"))).to_be_visible()
        await tab.page.get_by_role("link", name="See what it changed").click()
        await expect(tab.page.get_by_text(re.compile(r"Event 1 of \d+: Report begun"))).to_be_visible()


async def test_who_signs_out_is_out(browser: Browser, guarded: Ground) -> None:
    async with at(browser, guarded.url) as tab:
        await tab.open("/")
        await tab.on("Sign in")
        # Of somebody before, in a team that is not Ada's.
        await tab.page.evaluate("localStorage.setItem('report-builder:team', 'green')")
        await tab.page.reload()
        await tab.button("Sign in").click()
        await tab.page.get_by_role("button", name="Ada").click()
        await tab.chip("blue").click()
        await tab.on("Overview")
        assert await tab.page.evaluate("localStorage.getItem('report-builder:team')") == "blue"
        # What she may not do she is told before she fills it in.
        await tab.open("/accounts/new")
        await tab.page.get_by_role("heading", name="You may not connect accounts").wait_for()
        await expect(tab.page.get_by_role("textbox")).to_have_count(0)
        await tab.page.get_by_role("button", name="Ada").click()
        await tab.button("Sign out").click()
        await tab.on("Sign in")
        assert await tab.page.evaluate("localStorage.getItem('report-builder:team')") is None
        await tab.page.reload()
        await tab.on("Sign in")


async def test_without_an_issuer_the_link_of_the_start_signs_in(
    browser: Browser, postgres_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        standing(postgres_server, tmp_path_factory.mktemp("data"), auth_own_keys=True) as ground,
        at(browser, ground.url) as tab,
    ):
        await tab.open("/reports/new")
        await tab.button("Sign in").click()
        await tab.button("I have opened the link").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("You are not signed in yet")
        opened = await tab.page.context.new_page()
        await opened.goto(str(ground.service.program.sign_in_url))
        await opened.get_by_role("heading", level=1, name="Overview").wait_for()
        await tab.button("I have opened the link").click()
        await tab.on("New report")
