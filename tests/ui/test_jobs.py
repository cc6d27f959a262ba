"""The jobs that people have, each from an empty page to its results; everybody signs in as themselves, in a team of
their own, on the instance that the operator has granted them."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from service.clock import set_clock
from tests.postgres import Server
from tests.provider import CLIENT, SECRET, Provider, running_provider
from tests.service import INSTANCE
from tests.ui.browsing import Tab
from tests.ui.ground import CLICKS, Ground, of_june, standing

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]

NEW_YORK = ZoneInfo("America/New_York")
TODAY = datetime.now(NEW_YORK).replace(hour=9, minute=0, second=0, microsecond=0)
MONDAY = TODAY - timedelta(days=TODAY.weekday() or 7)
"""The last one that has passed, so that Amazon has its days; the service's clock stands before it."""
TEAMS = ("analysts", "managers", "directors", "office")
WORKFLOW = "Clicks by campaign and day"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agency(
    provider: Provider, postgres_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    """A service with an instance that every team is granted, and a workflow in each; nothing has run."""
    async with standing(
        postgres_server,
        tmp_path_factory.mktemp("data"),
        bare=True,
        settable_clock=True,
        scheduler_interval=0.2,
        auth_own_keys=True,
        auth_issuer=provider.issuer,
        auth_client_id=CLIENT,
        auth_client_secret=SECRET,
        auth_sign_in_scope="openid",
        auth_sign_in_grants=("reports:write", "collections:write", "schedules:write", "events:read", "admin"),
    ) as ground:
        await set_clock(ground.service.program.pool, MONDAY - timedelta(days=1), 1)
        provider.redirect_uris.add(f"{ground.url}/auth/callback")
        ground.service.act_as("owners")
        await ground.service.done("/api/instances", INSTANCE | {"name": "Outdoors, North America"})
        for team in TEAMS[:3]:
            await ground.service.done(f"/api/instances/{INSTANCE['instance_id']}/grants", {"team_id": team})
        for team in TEAMS:
            ground.service.act_as(team)
            await ground.service.done("/api/workflows", {"name": WORKFLOW, "sql_query": CLICKS})
        yield ground


SignIn = Callable[[str, str], Awaitable[Tab]]


@pytest_asyncio.fixture(loop_scope="session")
async def sign_in(browser: Browser, agency: Ground, provider: Provider) -> AsyncIterator[SignIn]:
    """Opens a browser of the person's own at the first page."""
    tabs: list[Tab] = []

    async def enter(name: str, team: str) -> Tab:
        provider.person = {"sub": name.lower(), "name": name, "email": f"{name.lower()}@example.com", "team": [team]}
        context = await browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="America/New_York")
        tab = Tab(await context.new_page(), agency.url)
        tabs.append(tab)
        await tab.open("/")
        await tab.button("Sign in").click()
        await tab.on("Overview")
        agency.service.act_as(team)
        return tab

    yield enter
    for tab in tabs:
        await tab.page.context.close()
        assert tab.faults == []
        assert [each for each in tab.strangers if not each.startswith(provider.issuer)] == []


async def test_an_analyst_has_seven_days_every_monday(sign_in: SignIn, agency: Ground) -> None:
    tab = await sign_in("Ana", "analysts")
    page = tab.page
    await expect(page.get_by_role("heading", name="Nothing has run yet")).to_be_visible()
    await set_up_weekly(tab, WORKFLOW)
    assert tab.clicks <= 12
    assert tab.seconds <= 120
    await page.get_by_role("link", name="Its runs").click()
    await page.get_by_role("heading", name="Next runs").wait_for()
    await expect(page.get_by_text("Every Monday at 09:00, America/New York time")).to_be_visible()
    due = (await agency.service.read(f"/api/schedules/{page.url.rpartition('/')[2]}"))["next_run_at"]
    assert datetime.fromisoformat(due) == MONDAY
    await set_clock(agency.service.program.pool, MONDAY - timedelta(seconds=1), 1)
    runs = page.get_by_role("table", name="Runs so far")
    await expect(runs).to_contain_text("Complete")
    async with page.expect_download() as download:
        await runs.get_by_role("link", name=re.compile("^CSV of")).click()
    assert len(Path(await (await download.value).path()).read_text().splitlines()) > 1
    await page.get_by_role("navigation").get_by_role("link", name="Results").click()
    await tab.on("Results")
    results = page.get_by_role("table", name="Results")
    await results.get_by_role("link", name=re.compile("Clicks, every Monday")).first.click()
    await expect(page.get_by_text("Complete.", exact=True)).to_be_visible()
    await expect(page.get_by_role("img", name=re.compile("^impressions, added up by day"))).to_be_visible()


async def set_up_weekly(tab: Tab, workflow: str) -> None:
    """From the first page to a submitted report of every Monday, as quickly as a person can."""
    page = tab.page
    await tab.click(page.get_by_role("link", name="New report").first)
    await tab.on("New report")
    await tab.type("Clicks, every Monday")
    await tab.click(tab.button("Begin"))
    await tab.on("Parameters")
    await tab.choose("Workflow", workflow)
    await expect(page.get_by_text(re.compile(r"\d{4}, 7 days; Amazon's data is complete\."))).to_be_visible()
    await tab.click(tab.button("Save and continue"))
    await tab.on("Schedule")
    if await tab.search("Time zone").input_value() != "America/New York":
        await tab.choose("Time zone", "New York")
    await expect(page.get_by_role("heading", name="Next 10 runs")).to_be_visible()
    await tab.click(tab.button("Save and continue"))
    await tab.on("Review")
    await tab.click(tab.button("Confirm and continue"))
    await tab.on("Submit")
    await tab.click(tab.button("Start the weekly schedule"))
    await tab.on("Clicks, every Monday")
    await expect(page.get_by_text("Active")).to_be_visible()


async def test_a_manager_has_a_year_then_retries_what_failed_and_a_colleague_sees_it(
    sign_in: SignIn, agency: Ground
) -> None:
    tab = await sign_in("Max", "managers")
    page = tab.page
    await page.get_by_role("link", name="New report").first.click()
    await tab.on("New report")
    await page.keyboard.type("A year, and on")
    await tab.button("Begin").click()
    await tab.choose("Workflow", WORKFLOW)
    await tab.button("Save and continue").click()
    await tab.on("Schedule")
    await tab.chip("History and recurring").click()
    await tab.chip("Weeks").click()
    await page.get_by_text("All 52 periods as a list").wait_for()
    await tab.button("Save and continue").click()
    await tab.on("Review")
    await tab.button("Confirm and continue").click()
    await tab.on("Submit")
    start = await page.get_by_text(re.compile(r"^\d+ .*, 364 days, in 52 periods$")).inner_text()
    last = datetime.strptime(start.split(" to ")[1].split(",")[0], "%d %B %Y").replace(tzinfo=UTC)
    bad = [(last - timedelta(days=back)).date().isoformat() for back in (6, 20)]
    await agency.faults(fail_windows=bad, fail_times=5)
    await tab.button("Start the history and the weekly schedule").click()
    await tab.on("A year, and on")
    stands = page.get_by_role("region", name="How it stands").get_by_role("paragraph").first
    await expect(stands.filter(has_text="Complete in part: 50 of 52 periods are in, 2 failed.")).to_be_visible()
    await agency.faults()

    colleague = await sign_in("Mia", "managers")
    await colleague.page.get_by_role("navigation").get_by_role("link", name="Results").click()
    await colleague.on("Results")
    await colleague.page.get_by_role("table", name="Results").get_by_role("link", name="A year, and on").click()
    await colleague.page.get_by_role("button", name=re.compile(": Failed")).first.click()
    drawer = colleague.page.get_by_role("dialog")
    await expect(drawer.get_by_text("internal error").first).to_be_visible()
    await drawer.get_by_role("button", name="Retry").click()
    await colleague.page.keyboard.press("Escape")
    # Max has not touched his page.
    await expect(stands.filter(has_text="Complete in part: 51 of 52 periods are in, 1 failed.")).to_be_visible()
    await tab.button("Retry 1 failed period").click()
    await expect(stands.filter(has_text="Complete: all 52 periods are in.")).to_be_visible()
    await expect(page.get_by_role("img", name=re.compile("^impressions, added up by day"))).to_be_visible()
    await page.get_by_role("navigation").get_by_role("link", name="Schedules").click()
    await expect(page.get_by_role("row", name=re.compile("A year, and on"))).to_contain_text("Active")


async def test_a_director_has_one_report_of_a_range_now(sign_in: SignIn, tmp_path: Path) -> None:
    tab = await sign_in("Dora", "directors")
    page = tab.page
    await page.get_by_role("link", name="New report").first.click()
    await tab.on("New report")
    await page.keyboard.type("June, for the board")
    await page.keyboard.press("Enter")
    await tab.choose("Workflow", WORKFLOW)
    await tab.chip("Calendar").click()
    days = page.get_by_role("group", name="First and last day")
    for part, (first, last) in {"day": ("8", "21"), "month": ("6", "6"), "year": ("2026", "2026")}.items():
        fields = days.get_by_role("spinbutton", name=re.compile(f"^{part}, ", re.I))
        await fields.first.press_sequentially(first)
        await fields.last.press_sequentially(last)
    await expect(page.get_by_text("8 to 21 June 2026, 14 days; Amazon's data is complete.")).to_be_visible()
    await tab.button("Save and continue").click()
    await tab.on("Schedule")
    await tab.chip("Once").click()
    await tab.button("Save and continue").click()
    await tab.on("Review")
    await expect(page.get_by_role("region", name="SQL with the parameters filled in")).to_be_visible()
    await tab.button("Confirm and continue").click()
    await tab.button("Run the report now").click()
    await tab.on("June, for the board")
    await expect(page.get_by_text("Complete.", exact=True)).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV", exact=True).click()
    await (await download.value).save_as(tmp_path / "june.csv")
    rows = list(csv.DictReader((tmp_path / "june.csv").open()))
    assert {row["event_date"] for row in rows} == {f"2026-06-{day:02}" for day in range(8, 22)}


async def test_an_operator_connects_an_account_and_mends_what_failed(sign_in: SignIn, agency: Ground) -> None:
    tab = await sign_in("Olga", "office")
    page = tab.page
    await page.get_by_role("link", name="See the instances").click()
    await tab.on("Instances")
    await page.get_by_role("link", name="Connect an account").first.click()
    for name, text in (
        ("Name", "Kitchens"),
        ("Client id", "amzn1.x"),
        ("Client secret", "s"),
        ("Refresh token", "Atzr|k"),
    ):
        await page.get_by_label(name, exact=True).fill(text)
    await tab.chip("As the service is set up").click()
    await tab.button("Connect").click()
    await tab.on("Kitchens")
    listed = page.get_by_role("table", name="Instances that Amazon lists")
    await listed.get_by_role("link", name=re.compile("^Add ")).click()
    await tab.field("Name").fill("Kitchen, Europe")
    await tab.choose("Time zone", "Berlin")
    await page.get_by_role("spinbutton", name="Executions in a day").fill("500")
    await tab.button("Add the instance").click()
    await tab.on("Kitchen, Europe")
    await expect(page.get_by_text("At most 500 executions begun")).to_be_visible()
    await tab.button("Grant it to a team").click()
    await page.get_by_role("dialog").get_by_label("Team").fill("analysts")
    await page.get_by_role("dialog").get_by_role("button", name="Grant", exact=True).click()
    await tab.button("Take it back from analysts").click()
    await page.get_by_role("dialog").get_by_role("button", name="Take it back").click()
    await expect(page.get_by_text("Yours alone runs on it.")).to_be_visible()
    await tab.button("Change the limits").click()
    limits = page.get_by_role("dialog")
    # A colleague lowers them meanwhile: that is told, and stays.
    lowered = await agency.service.send("PATCH", "/api/instances/amcsandbox2", {"max_concurrent": 3})
    assert lowered.status == 200, lowered.body
    await expect(page.get_by_text("0 of 3 in use")).to_be_visible()
    await limits.get_by_role("textbox", name="Name").fill("Cookery, Europe")
    await limits.get_by_role("button", name="Change", exact=True).click()
    await expect(limits.get_by_text("Someone else changed this")).to_be_visible()
    await limits.get_by_role("button", name="Change", exact=True).click()
    await tab.on("Cookery, Europe")
    await expect(page.get_by_text("0 of 3 in use")).to_be_visible()

    # The account's consent is taken back: its work waits, and the first page says so.
    workflow = (await agency.service.read("/api/workflows?limit=1"))["items"][0]["workflow_id"]
    await agency.faults(revoked_tokens=["Atzr|k"])
    named = {"workflow_id": workflow, "instance_id": "amcsandbox2"}
    await agency.submitted(of_june(parallel_limit=3), "Kitchens of June", **named)
    await page.get_by_role("navigation").get_by_role("link", name="Overview").click()
    await expect(page.get_by_text("Amazon no longer accepts its account").first).to_be_visible()
    await agency.faults()
    await page.get_by_role("navigation").get_by_role("link", name="Instances").click()
    await page.get_by_role("link", name="Kitchens").first.click()
    await tab.button("Connect again").click()
    await page.get_by_role("dialog").get_by_role("button", name=re.compile("^Connect")).click()
    await page.get_by_role("navigation").get_by_role("link", name="Results").click()
    await expect(page.get_by_role("row", name=re.compile("Kitchens of June"))).to_contain_text("Complete")
