"""The day's first page, the lists, and what is done from them."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Route, expect

from tests.ui.browsing import Tab
from tests.ui.ground import Ground
from tests.ui.scenes import LETTERS, answer, busy, scheduled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]


async def test_the_first_page_leads_to_what_waits_for_a_person(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await busy(ground)
    await tab.open("/")
    await expect(
        page.get_by_text(re.compile(r"\d+ things? waits? for a person|\d+ things wait for a person"))
    ).to_be_visible()
    await expect(page.get_by_text("Amazon rejects the SQL or its parameters")).to_be_visible()
    await expect(page.get_by_text("Schedule paused: No numbers while prices move.")).to_be_visible()
    brands = page.get_by_role("table", name="Brands")
    await expect(brands.get_by_role("row", name="Outdoors, North America")).to_be_visible()
    await page.get_by_role("listitem").get_by_role("link", name="Purchases by keyword").first.click()
    await tab.on("Purchases by keyword")


async def test_the_parts_are_behind_a_button_on_a_phone(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await page.set_viewport_size({"width": 320, "height": 700})
    await tab.open("/")
    await tab.on("Overview")
    menu = tab.button("Menu")
    await menu.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Reports", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await tab.on("Reports")
    await expect(page.get_by_role("link", name="Schedules", exact=True)).to_be_hidden()


async def test_a_report_is_found_by_its_name_and_copied(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await ground.with_parameters("Brand lift, spring")
    await ground.begun("Something else")
    await tab.open("/reports")
    name = page.get_by_role("searchbox", name="Search by name")
    await name.fill("No report is called so")
    await page.get_by_role("link", name="Show all reports").click()
    await expect(name).to_have_value("")
    await name.fill("BRAND lift")
    await expect(page.get_by_role("link", name="Something else")).to_have_count(0)
    await tab.chip("Drafts").click()
    await page.reload()
    await expect(page.get_by_role("searchbox", name="Search by name")).to_have_value("BRAND lift")
    await expect(page.get_by_role("radio", name="Drafts")).to_be_checked()
    await page.get_by_role("link", name="Brand lift, spring", exact=True).click()
    await expect(page.get_by_role("heading", level=1, name="Brand lift, spring")).to_be_focused()
    await page.go_back()
    await tab.button("Copy Brand lift, spring").click()
    await tab.on("Parameters")
    await expect(page.get_by_text("Copy of Brand lift, spring")).to_be_visible()
    await expect(tab.search("Workflow")).to_have_value("Clicks by campaign and day")


async def test_a_schedule_is_paused_resumed_and_run_from_the_list(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await scheduled(ground, "Acted on", "05:51")
    await tab.open("/schedules?search=acted")
    row = page.get_by_role("row", name=re.compile("Acted on"))
    await tab.button("Pause Acted on").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("It starts no run until somebody resumes it.")
    await dialog.get_by_label("Reason").fill("The shop is closed.")
    await dialog.get_by_role("button", name="Pause", exact=True).click()
    await expect(row).to_contain_text("Paused")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await tab.button("Resume Acted on").click()
    await page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    await expect(row).to_contain_text("Active")
    await tab.button("Run now: Acted on").click()
    await expect(row).to_contain_text("Complete", timeout=30_000)

    await row.get_by_role("link", name="Acted on").click()
    await tab.on("Acted on")
    runs = page.get_by_role("table", name="Runs so far")
    await expect(runs).to_contain_text("asked for")
    async with page.expect_download() as download:
        await runs.get_by_role("link", name=re.compile("^CSV of")).click()
    assert (await download.value).suggested_filename.endswith(".csv")

    # The report has all of them as one.
    await page.get_by_role("link", name="See the report and its results").click()
    results = page.get_by_role("region", name="All results")
    async with page.expect_download() as download:
        await results.get_by_role("link", name="CSV of all results").click()
    assert (await download.value).suggested_filename.endswith(".csv")
    await results.get_by_role("button", name="Show them here").click()
    await results.get_by_text("Table", exact=True).click()
    await expect(results.get_by_text(re.compile(r"\d+ of \d+ rows"))).to_be_visible()


async def test_a_change_shows_the_next_three_runs_before_and_after(tab: Tab, ground: Ground) -> None:
    page = tab.page
    schedule = await scheduled(ground, "To be changed", "05:52")
    await tab.open(f"/schedules/{schedule['schedule_id']}")
    await page.get_by_role("link", name="Change", exact=True).click()
    await tab.on("Change the schedule")
    panel = page.get_by_role("complementary", name="The next three runs")
    await expect(panel.get_by_role("listitem")).to_have_count(6)
    before = await panel.get_by_role("listitem").all_inner_texts()
    assert before[:3] == before[3:]
    await tab.button("Save the change").click()
    await expect(page.get_by_text("Nothing is changed yet.")).to_be_visible()
    await tab.chip("Tue").click()
    await tab.chip("Last 14 days").click()
    await expect(panel.get_by_text(re.compile("^Tue ")).first).to_be_visible()
    await tab.field("Reason").fill("Two days a week from now on.")
    await tab.button("Save the change").click()
    await tab.on("To be changed")
    changed = page.get_by_role("status").filter(has_text="The schedule is changed")
    await expect(changed.get_by_role("listitem")).to_have_count(6)
    await expect(page.get_by_text("Every Monday and Tuesday at 05:52")).to_be_visible()
    stands = await ground.service.read(f"/api/schedules/{schedule['schedule_id']}")
    assert (stands["lookback_config"]["value"], stands["schedule_config"]["daysOfWeek"]) == (14, [1, 2])

    await tab.button("End").click()
    await page.get_by_role("dialog").get_by_role("button", name="End the schedule").click()
    await expect(page.get_by_text("Somebody ended it.")).to_be_visible()
    await expect(page.get_by_role("link", name="Change", exact=True)).to_have_count(0)


async def test_a_workflow_is_written_checked_changed_and_archived(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open("/workflows/new")
    await tab.field("Name").fill("Reach by brand")
    sql = "SELECT campaign, SUM(clicks) AS clicks FROM sponsored_ads_traffic WHERE brand = {} GROUP BY campaign"
    await tab.field("SQL").fill(sql.format("{{brand}}"))
    await tab.button("Check and save").click()
    await expect(page.get_by_role("alert")).to_contain_text("CUSTOM_PARAMETER('brand')")
    await page.reload()
    await tab.field("SQL").fill(sql.format("CUSTOM_PARAMETER('brand')"))
    await tab.button("Declare it").click()
    await tab.field("What it is for").fill("The brand as it is called in the catalogue.")
    await tab.button("Check and save").click()
    await tab.on("Reach by brand")
    await expect(page.get_by_text("Saved as version 1.")).to_be_visible()
    await expect(page.get_by_role("table", name="Parameters")).to_contain_text("None: each report says it")

    await page.get_by_role("link", name="Edit", exact=True).click()
    await tab.field("Default").fill("Northwind")
    await tab.button("Check and save").click()
    await expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    await expect(page.get_by_role("table", name="Parameters")).to_contain_text("Northwind")
    await page.get_by_role("link", name="Version 1", exact=True).click()
    await expect(page.get_by_role("heading", name="This is version 1")).to_be_visible()
    await expect(page.get_by_role("table", name="Parameters")).to_contain_text("None: each report says it")
    await page.get_by_role("link", name="See the newest").click()
    await tab.button("Archive").click()
    await page.get_by_role("dialog").get_by_role("button", name="Archive").click()
    await expect(tab.button("Take it back from the archive")).to_be_visible()


async def test_an_account_that_amazon_refuses_is_not_kept(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open("/accounts/new")
    for name in ("Name", "Client id", "Client secret"):
        await page.get_by_label(name, exact=True).fill("x")
    await tab.button("Connect").click()
    await page.get_by_role("alert").get_by_role("link", name="Refresh token").click()
    await expect(page.get_by_label("Refresh token", exact=True)).to_be_focused()
    refused = {"title": "x", "status": 422, "code": "amazon_refused", "detail": "invalid_grant: the token is not good"}
    await answer(tab, "**/api/accounts", refused | {"type": "/docs/errors#amazon_refused"}, 422)
    await page.keyboard.type("Atzr|wrong")
    await tab.button("Connect").click()
    await expect(page.get_by_role("alert")).to_contain_text("Amazon refused it")
    kept = await page.evaluate("JSON.stringify({ ...sessionStorage, ...localStorage })")
    assert "Atzr" not in kept


async def test_a_dead_letter_is_discarded_with_a_reason(tab: Tab, ground: Ground) -> None:
    page = tab.page
    sent: list[str] = []

    async def settle(route: Route) -> None:
        sent.append(route.request.post_data or "")
        await route.fulfill(json={"letter_id": "2", "resumed": False, "position": 0})

    await answer(tab, "**/api/dead-letters*", LETTERS)
    await page.route("**/api/dead-letters/2/discard", settle)
    await tab.open("/dead-letters")
    await tab.button("Discard").last.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Discard").click()
    await expect(dialog).to_contain_text("Say why")
    assert sent == []
    await dialog.get_by_label("Reason").fill("Nobody knows what it was.")
    await dialog.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert sent == ['{"reason":"Nobody knows what it was."}']
