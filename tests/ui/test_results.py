"""A history as a person follows it: live, through cuts and a restart, in many tabs; what can be done to it; its
rows."""

from __future__ import annotations

import asyncio
import csv
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, Locator, expect

from service.amc.sandbox.options import SandboxOptions
from service.amc.sandbox.server import running_sandbox
from service.operations.metrics import PREFIX, REGISTRY
from tests.deployment import free_port
from tests.postgres import Server
from tests.service import INSTANCE, Service, serving, settings_for
from tests.ui.browsing import Tab
from tests.ui.ground import CLICKS, JUNE, Ground, of_june
from tests.ui.scenes import under_way

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]


def streams() -> int:
    """How many live streams the service has open now."""
    return int(REGISTRY.get_sample_value(f"{PREFIX}_event_streams_open") or 0)


def stands(tab: Tab) -> Locator:
    """The sentence that says how it stands."""
    return tab.page.get_by_role("region", name="How it stands").get_by_role("paragraph").first


async def until(what: str, check: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def test_submitting_leads_to_the_live_page_and_the_report_to_it(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.reviewed(of_june(), "June, live")
    await tab.open(f"{path}/submit")
    await tab.button("Start the history").click()
    await tab.on("June, live")
    assert "/results/" in page.url
    await expect(stands(tab).filter(has_text="Complete: all 5 periods are in.")).to_be_visible()
    weeks = page.get_by_role("table", name="Weeks")
    await expect(weeks.get_by_role("row", name=re.compile("June 2026"))).to_be_visible()
    await expect(weeks.get_by_role("button", name="1 to 7 June 2026: Complete")).to_be_visible()
    await page.get_by_role("link", name="The report").click()
    await tab.on("June, live")
    await page.get_by_role("link", name="Rows and periods").click()
    await expect(stands(tab).filter(has_text="Complete: all 5 periods are in.")).to_be_visible()


async def test_what_others_do_is_seen_at_once(tab: Tab, ground: Ground) -> None:
    page = tab.page
    ident = await ground.collection(of_june("daily", parallel_limit=1), "Watched", ended=False)
    at = f"/api/data-collections/{ident}"
    await ground.service.done(f"{at}/pause", {})
    await until("the streams of other tests are closed", lambda: streams() == 0)
    await tab.open(f"/results/{ident}")
    await expect(stands(tab).filter(has_text=re.compile(r"^Paused: \d+ of 30"))).to_be_visible()
    await expect(page.get_by_role("list", name="Periods by state")).not_to_contain_text("Running")
    await until("a stream is open", lambda: streams() == 1)
    # Only the stream can tell from here on: what the page would ask for by itself comes later.
    await page.route("**/progress*", lambda route: route.abort())
    await ground.service.done(f"{at}/resume", {})
    await expect(stands(tab).filter(has_text=re.compile("^Running: 30 of 30"))).to_be_visible()
    await page.unroute("**/progress*")
    await expect(stands(tab).filter(has_text="Complete: all 30 periods are in.")).to_be_visible()


@pytest.mark.parametrize("without", ["", "SharedWorker"])
async def test_all_tabs_share_one_stream_which_outlives_each_of_them(
    browser: Browser, ground: Ground, without: str
) -> None:
    await until("the streams of other tests are closed", lambda: streams() == 0)
    context = await browser.new_context()
    if without:
        await context.add_init_script(f"delete window.{without}")
    ident = await ground.collection(of_june(), f"Shared {without}")
    tabs = []
    for _ in range(3):
        tab = Tab(await context.new_page(), ground.url)
        await tab.open(f"/results/{ident}")
        await expect(stands(tab).filter(has_text="Complete: all 5 periods are in.")).to_be_visible()
        tabs.append(tab)
    await until("a stream is open", lambda: streams() == 1)
    await tabs[0].page.close()
    await until("the next tab follows", lambda: streams() == 1)
    other = await ground.collection(of_june(), f"Seen {without}", ended=False)
    await tabs[2].open(f"/results/{other}")
    await expect(stands(tabs[2]).filter(has_text="Complete: all 5 periods are in.")).to_be_visible()
    assert streams() == 1
    await context.close()
    assert [each for tab in tabs for each in tab.faults] == []


async def test_a_restart_of_the_service_is_survived_without_touching_the_page(
    browser: Browser, postgres_server: Server, tmp_path: Path
) -> None:
    options = SandboxOptions(port=0, generated=True, running_seconds=0.4, max_concurrent=2)
    async with postgres_server.fresh_database() as database, running_sandbox(options) as sandbox:
        settings = msgspec.structs.replace(settings_for(database, tmp_path, sandbox), port=free_port())
        context = await browser.new_context()
        async with serving(settings) as service:
            ident = await _thirty_days(service)
            tab = Tab(await context.new_page(), str(service.program.api_url))
            await tab.open(f"/results/{ident}")
            await expect(stands(tab).filter(has_text=re.compile(r"^Running: [1-9]\d* of 30"))).to_be_visible()
        await expect(tab.page.get_by_text("Connection lost, trying again")).to_be_visible()
        async with serving(settings):
            await expect(tab.page.get_by_text("Connection lost, trying again")).to_have_count(0)
            await expect(stands(tab).filter(has_text="Complete: all 30 periods are in.")).to_be_visible()
            calendar = tab.page.get_by_role("table", name="June 2026")
            await expect(calendar.get_by_role("button", name=re.compile("June 2026: Complete"))).to_have_count(30)
        await context.close()
        assert tab.faults == []


async def _thirty_days(service: Service) -> str:
    """A history of June by days, set to work."""
    await service.done("/api/instances", INSTANCE)
    workflow = (await service.done("/api/workflows", {"name": "Clicks", "sql_query": CLICKS}))["workflow_id"]
    body = {"instance_id": INSTANCE["instance_id"], "workflow_id": workflow, "lookback_config": JUNE, "name": "June"}
    config = {"type": "daily", "parallel_limit": 2}
    made = await service.done("/api/data-collections", {**body, "segmentation_config": config})
    return str(made["collection_id"])


async def test_each_control_tells_what_it_has_done(tab: Tab, ground: Ground) -> None:
    page = tab.page
    ident = await ground.collection(of_june("daily", parallel_limit=1), "Controlled", ended=False)
    await ground.service.done(f"/api/data-collections/{ident}/pause", {})
    await tab.open(f"/results/{ident}")
    controls = page.get_by_role("region", name="Controls")
    await tab.button("How it runs").click()
    await page.get_by_role("spinbutton", name="Periods at once").fill("99")
    await tab.button("Save").click()
    await expect(page.get_by_text(re.compile("the instance runs 10 at once", re.I))).to_be_visible()
    await page.get_by_role("spinbutton", name="Periods at once").fill("3")
    await page.get_by_role("spinbutton", name="Stop after failures").fill("4")
    await tab.button("Save").click()
    await expect(controls).to_contain_text("at most 3 at once; it stops after 4 more failures.")
    await tab.button("To the front").click()
    await expect(controls).to_contain_text("Moved to the front")
    await tab.button("Cancel …").click()
    await tab.field("Why").fill("Not needed")
    await page.keyboard.press("Escape")
    await expect(tab.button("Cancel …")).to_be_focused()
    await tab.button("Resume").click()
    await expect(controls).to_contain_text("Resumed.")
    await tab.button("Pause").dblclick()
    await expect(controls).to_contain_text("Paused.")
    await expect(tab.button("Resume")).to_be_visible()
    assert (await ground.service.read(f"/api/data-collections/{ident}"))["paused"] is not None
    await tab.button("Cancel …").click()
    await tab.field("Why").fill("Not needed")
    await page.get_by_role("button", name=re.compile(r"^Cancel \d+ periods")).click()
    await expect(stands(tab).filter(has_text=re.compile(r"^Cancelled: \d+ of 30"))).to_be_visible()
    await expect(page.get_by_text("Not needed")).to_be_visible()
    collection = await ground.service.read(f"/api/data-collections/{ident}")
    assert (collection["parallel_limit"], collection["stop_after_failures"]) == (3, 4)
    assert collection["cancelled"]["reason"] == "Not needed"


async def test_a_failed_period_is_looked_into_and_retried(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await ground.faults(fail_windows=["2026-06-08"])
    ident = await ground.collection(of_june(max_attempts=2), "With a fault")
    await ground.faults()
    await tab.open(f"/results/{ident}")
    await expect(stands(tab).filter(has_text="Complete in part: 4 of 5 periods are in, 1 failed.")).to_be_visible()
    # By keyboard alone: along the calendar, into the drawer, and back.
    await page.get_by_role("button", name="1 to 7 June 2026: Complete").focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="8 to 14 June 2026")
    await expect(drawer.get_by_role("heading", name="It has no result")).to_be_visible()
    await expect(drawer.get_by_text("internal error").first).to_be_visible()
    await expect(drawer.get_by_text("Attempt 2")).to_be_visible()
    segments = (await ground.progress(ident))["segments"]
    failed = next(each for each in segments if each["status"] == "failed")
    await expect(drawer.get_by_text(failed["amc_execution_id"]).first).to_be_visible()
    assert failed["segment_id"] in page.url
    await drawer.get_by_role("button", name="Retry").click()
    await expect(drawer.get_by_text("It runs again as soon as a slot is free.")).to_be_visible()
    await expect(drawer.get_by_text("Attempt 3")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(page.get_by_role("button", name="8 to 14 June 2026: Complete")).to_be_focused()
    await expect(stands(tab).filter(has_text="Complete: all 5 periods are in.")).to_be_visible()


async def test_a_failed_period_is_fetched_in_pieces(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await ground.faults(fail_windows=["2026-06-08"])
    ident = await ground.collection(of_june(max_attempts=1), "In pieces")
    await ground.faults()
    await tab.open(f"/results/{ident}")
    await page.get_by_role("button", name="8 to 14 June 2026: Failed").click()
    await tab.button("Fetch it in pieces").click()
    drawer = page.get_by_role("dialog")
    await expect(drawer.get_by_role("heading", name="Fetched in 7 pieces")).to_be_visible()
    await tab.button("Close").click()
    await expect(page.get_by_role("button", name="8 to 14 June 2026: Complete, in 7 pieces")).to_be_visible()
    await expect(stands(tab).filter(has_text="Complete: all 11 periods are in.")).to_be_visible()


async def test_periods_are_sorted_and_filtered(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await under_way(tab, ground, "weekly")
    periods = page.get_by_role("table", name=re.compile("periods, sorted by"))
    await periods.get_by_role("button", name="Attempts").click()
    await expect(periods.get_by_role("row").nth(1)).to_contain_text("Failed")
    await expect(periods.get_by_role("columnheader", name="Attempts")).to_have_attribute("aria-sort", "descending")
    await tab.field("Find").fill("internal error")
    await expect(page.get_by_role("table", name="3 periods, sorted by attempts")).to_be_visible()
    await page.get_by_role("button", name=re.compile("All, 52")).click()
    await page.get_by_role("option", name="Failed, 2").click()
    await expect(page.get_by_role("table", name="2 periods, sorted by attempts")).to_be_visible()
    await tab.field("Find").fill("no such thing")
    await tab.button("Show all").click()
    await expect(page.get_by_role("table", name="52 periods, sorted by attempts")).to_be_visible()

    # Where there is no room for columns, their heads take no focus, and a list sorts.
    await page.set_viewport_size({"width": 320, "height": 900})
    await expect(periods.get_by_role("button", name="Attempts")).to_have_count(0)
    await page.get_by_role("button", name=re.compile(r"\bOrder\b")).click()
    await page.get_by_role("option", name="Most rows first").click()
    await expect(page.get_by_role("table", name="52 periods, sorted by rows")).to_be_visible()


async def test_rows_are_drawn_read_and_taken_along(tab: Tab, ground: Ground, tmp_path: Path) -> None:
    page = tab.page
    ident = await ground.collection(of_june(), "Rows of June")
    rows = await ground.service.rows({"collection_id": ident})
    await tab.open(f"/results/{ident}")
    await expect(page.get_by_role("img", name=re.compile("^impressions, added up by day"))).to_be_visible()
    await page.get_by_text("The same as numbers").click()
    first = sum(row["impressions"] for row in rows if row["event_date"] == "2026-06-01")
    numbers = page.get_by_role("table", name="impressions, added up by day")
    await expect(numbers.get_by_role("row", name=f"1 Jun 2026 {first:,}")).to_be_visible()
    await page.get_by_role("button", name="Cut by").click()
    await page.get_by_role("option", name="campaign").click()
    await expect(page.get_by_role("img", name=re.compile("^impressions by campaign"))).to_be_visible()
    await tab.chip("Table").click()
    await expect(page.get_by_text(f"50 of {len(rows)} rows")).to_be_visible()
    for name, format in (("CSV", "csv"), ("Excel", "xlsx"), ("Parquet", "parquet"), ("JSON", "json")):
        link = page.get_by_role("list", name="Downloads").get_by_role("link", name=name)
        assert (await link.get_attribute("href") or "").endswith(f"/results?format={format}")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV", exact=True).click()
    await (await download.value).save_as(tmp_path / "rows.csv")
    assert len(list(csv.DictReader((tmp_path / "rows.csv").open()))) == len(rows)
