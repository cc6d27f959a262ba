"""The four steps of a report, as a person takes them."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from playwright.async_api import Route, expect

from tests.ui.browsing import Tab
from tests.ui.ground import Ground, history, weekly

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]


async def test_what_was_typed_is_there_after_a_reload_at_each_step(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open("/reports/new")
    await tab.field("Name of the report").fill("Kept")
    await page.reload()
    await expect(tab.field("Name of the report")).to_have_value("Kept")
    await tab.button("Begin").click()

    await tab.on("Parameters")
    await tab.choose("Workflow", "Reach of tracked products")
    await tab.field("asins").fill("B000000001\nB000000002")
    await tab.chip("Last 30 days").click()
    await page.reload()
    await expect(page.get_by_text("Your unsaved changes are here again.")).to_be_visible()
    await expect(tab.search("Workflow")).to_have_value("Reach of tracked products")
    await expect(tab.field("asins")).to_have_value("B000000001\nB000000002")
    await expect(page.get_by_role("radio", name="Last 30 days")).to_be_checked()
    for part, text in (("day", "1"), ("month", "3"), ("year", "2026")):
        await page.get_by_role("spinbutton", name=re.compile(f"^{part}, since", re.I)).press_sequentially(text)
    await tab.button("Save and continue").click()

    await tab.on("Schedule")
    await tab.chip("History and recurring").click()
    await tab.chip("Tue").click()
    await page.reload()
    await expect(page.get_by_role("radio", name="History and recurring")).to_be_checked()
    await expect(page.get_by_role("checkbox", name="Tue")).to_be_checked()
    await tab.chip("Months").click()
    await tab.button("Save and continue").click()

    await tab.on("Review")
    await page.reload()
    await expect(page.get_by_role("region", name="SQL with the parameters filled in")).to_contain_text("'B000000001'")
    await tab.button("Confirm and continue").click()

    await tab.on("Submit")
    await page.reload()
    await expect(tab.button("Start the history and the weekly schedule")).to_be_visible()
    # What was saved is not typed any more.
    await page.get_by_role("link", name="Parameters").click()
    await tab.on("Parameters")
    await expect(page.get_by_text("Your unsaved changes")).to_have_count(0)
    await expect(tab.field("asins")).to_have_value("B000000001\nB000000002")


async def test_another_browser_goes_on_where_one_was(tab: Tab, ground: Ground) -> None:
    path = await ground.with_schedule(history("weekly"), "Begun elsewhere")
    await tab.open(path)
    await tab.page.get_by_role("link", name="Continue with review").click()
    await tab.on("Review")
    # A step that cannot be taken yet leads to the one that can.
    await tab.open(f"{path}/submit")
    await tab.on("Review")
    await tab.page.go_back()
    await tab.on("Review")


async def test_the_whole_run_by_keyboard_alone(tab: Tab, ground: Ground) -> None:
    page, keys = tab.page, tab.page.keyboard

    async def reach(name: str) -> None:
        """Tab until what has the focus is called so."""
        for _ in range(80):
            await keys.press("Tab")
            if name in str(await page.evaluate(FOCUSED)):
                return
        raise AssertionError(f"{name!r} is not reached by keyboard; last: {await page.evaluate(FOCUSED)}")

    await tab.open("/")
    await tab.on("Overview")
    await keys.press("Tab")
    assert "Skip to content" in str(await page.evaluate(FOCUSED))
    await reach("New report")
    await keys.press("Enter")
    await tab.on("New report")
    await keys.type("By keyboard")
    await keys.press("Enter")
    await tab.on("Parameters")
    # The focus has followed to the page that has come.
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await reach("Workflow")
    await keys.type("clicks by")
    await page.get_by_role("option", name="Clicks by campaign and day").wait_for()
    await keys.press("ArrowDown")
    await keys.press("Enter")
    await expect(tab.search("Workflow")).to_have_value("Clicks by campaign and day")
    await page.get_by_role("radio", name="Last 7 days").wait_for()
    await reach("Last 7 days")
    await keys.press("ArrowRight")
    await expect(page.get_by_role("radio", name="Last 14 days")).to_be_checked()
    await page.get_by_text(re.compile("14 days; Amazon")).wait_for()
    await reach("Save and continue")
    await keys.press("Enter")
    await tab.on("Schedule")
    await reach("Recurring")
    await keys.press("ArrowUp")
    await expect(page.get_by_role("radio", name="Once")).to_be_checked()
    await reach("Save and continue")
    await keys.press("Enter")
    await tab.on("Review")
    await reach("Confirm and continue")
    await keys.press("Enter")
    await tab.on("Submit")
    await reach("Run the report now")
    await keys.press("Enter")
    await tab.on("By keyboard")
    await expect(page.get_by_text("Complete.", exact=True)).to_be_visible()
    await expect(page.get_by_role("img", name=re.compile("^impressions, added up by day"))).to_be_visible()
    await reach("Chart")
    await keys.press("ArrowRight")
    await expect(page.get_by_role("radio", name="Table")).to_be_checked()
    await reach("CSV")


FOCUSED = """() => {
  const at = document.activeElement
  if (at === document.body) return ''  // nothing has the focus, and every text of the page is in it
  const labels = [...(at.labels ?? [])].map((each) => each.textContent)
  const by = (at.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent)
  return [at.getAttribute('aria-label'), ...labels, ...by, at.textContent].join(' ')
}"""


async def test_a_long_list_is_counted_and_its_bad_lines_are_named(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open(f"{await ground.begun('Ten thousand products')}/parameters")
    await tab.choose("Workflow", "Reach of tracked products")
    lines = [f"B{number:09}" for number in range(10_000)]
    lines[41], lines[9_000], lines[9_999] = "not-an-asin!", "B1", lines[0]
    # As a person does: Chromium takes a minute for so many lines as input of its driver.
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate("(text) => navigator.clipboard.writeText(text)", "\n".join(lines))
    await tab.field("asins").click()
    await page.keyboard.press("Control+V")
    await expect(page.get_by_text("9,999 values, 1 repeat left out")).to_be_visible()
    bad = page.get_by_role("list", name="Values that do not fit")
    await expect(bad.get_by_role("button", name="Line 42").first).to_be_visible()
    await expect(bad.get_by_role("button", name="Line 9,001")).to_be_visible()
    await bad.get_by_role("button", name="Line 9,001").click()
    assert await page.evaluate("getSelection().toString()") == "B1"

    begun = time.perf_counter()
    await page.keyboard.type("B000009000")
    await page.evaluate("new Promise(requestAnimationFrame)")
    assert time.perf_counter() - begun < 10  # ten keys, over the driver, on a busy machine
    await expect(bad.get_by_role("button", name="Line 9,001")).to_have_count(0)


async def test_what_is_missing_is_told_at_the_top_and_at_the_field(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open(f"{await ground.begun('With mistakes')}/parameters")
    await tab.button("Save and continue").click()
    summary = page.get_by_role("alert")
    await expect(summary).to_contain_text("Workflow: choose a workflow.")
    await summary.get_by_role("link", name="Workflow").click()
    await expect(tab.search("Workflow")).to_be_focused()
    await page.get_by_role("option", name="Reach of tracked products").click()
    await tab.button("Save and continue").click()
    await expect(summary).to_contain_text("since: it is missing, and the workflow has no default for it.")
    await summary.get_by_role("link", name="asins").click()
    await expect(tab.field("asins")).to_be_focused()
    await expect(tab.field("asins")).to_have_accessible_description(re.compile("It is missing"))

    # Whoever corrects it is left in peace, and the correction is seen.
    await tab.field("asins").press_sequentially("B000000001")
    await expect(tab.field("asins")).to_be_focused()
    await expect(tab.field("asins")).to_have_value("B000000001")


async def test_a_window_that_amazon_has_not_is_refused_while_it_is_chosen(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open(f"{await ground.with_parameters('Too far back')}/parameters")
    await tab.chip("Last …").click()
    await page.get_by_role("spinbutton", name="Last").fill("500")
    await expect(page.get_by_text(re.compile("earliest", re.I))).to_be_visible()
    await page.get_by_role("spinbutton", name="Last").fill("20")
    await expect(page.get_by_text(re.compile("20 days; Amazon's data is complete"))).to_be_visible()

    # Days that stay the same suit no schedule: the second step says so, and leads back to where they are chosen.
    await tab.chip("Preset").click()
    await tab.chip("Last quarter").click()
    await expect(page.get_by_text("These days stay the same.")).to_be_visible()
    await tab.button("Save and continue").click()
    await tab.on("Schedule")
    await page.get_by_role("link", name="Window of each run").click()
    await tab.on("Parameters")


async def test_a_change_of_clocks_is_marked_at_the_run_that_it_meets(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.with_parameters("Clocks")
    await tab.open(f"{path}/schedule")
    await tab.chip("Monthly").click()
    await tab.choose("Time zone", "New York")
    runs = page.get_by_role("table", name=re.compile("Next runs"))
    await expect(runs.get_by_text(re.compile("Clocks (have gone|go) (forward|back)")).first).to_be_visible()
    await expect(runs.get_by_text(re.compile(r"\d\d:\d\d UTC")).first).to_be_visible()

    # What is folded away is seen while something in it does not fit.
    await tab.chip("Weeks").click()
    await page.get_by_text("How the periods are fetched").click()
    await page.get_by_role("spinbutton", name="At once").fill("999")
    await expect(page.get_by_text(re.compile("at once; give at most that"))).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("spinbutton", name="At once")).to_be_visible()


async def test_someone_elses_change_is_told_and_either_version_can_be_taken(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.with_parameters("Shared")
    await tab.open(f"{path}/parameters")
    await tab.chip("Last 14 days").click()
    await asyncio.sleep(0.5)
    month = {"type": "relative", "value": 30, "unit": "days", "dataDelayDays": 2}
    step = {"instance_id": "amcsandbox1", "workflow_id": ground.clicks}
    await ground.service.done(f"/api{path}/parameters", {**step, "lookback_config": month})
    await tab.button("Save and continue").click()
    notice = page.get_by_role("alert").filter(has_text="Someone else changed this report")
    await notice.wait_for()
    await expect(page.get_by_role("radio", name="Last 14 days")).to_be_checked()
    await notice.get_by_role("button", name="Take their version").click()
    await expect(page.get_by_role("radio", name="Last 30 days")).to_be_checked()

    await tab.chip("Last 14 days").click()
    await ground.service.done(f"/api{path}/parameters", {**step, "lookback_config": {**month, "value": 60}})
    await tab.button("Save and continue").click()
    await notice.wait_for()
    await tab.button("Save and continue").click()
    await tab.on("Schedule")
    assert (await ground.report(path))["parameters"]["lookback_config"]["value"] == 14


async def test_a_press_that_meets_the_news_of_a_change_by_chance_saves_nothing(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.with_parameters("Shared")
    await tab.open(f"{path}/parameters")
    await tab.chip("Last 14 days").click()
    await page.get_by_text(", 14 days").wait_for()
    month = {"type": "relative", "value": 30, "unit": "days", "dataDelayDays": 2}
    step = {"instance_id": "amcsandbox1", "workflow_id": ground.clicks}
    await ground.service.done(f"/api{path}/parameters", {**step, "lookback_config": month})
    # Now the page knows before the press, as after a connection that was lost.
    await page.reload()
    notice = page.get_by_role("alert").filter(has_text="Someone else changed this report")
    await notice.wait_for()
    await tab.button("Save and continue").click()
    over = notice.get_by_role("button", name="Save mine over it")
    await over.wait_for()
    assert (await ground.report(path))["parameters"]["lookback_config"]["value"] == 30
    await over.click()
    await tab.on("Schedule")
    assert (await ground.report(path))["parameters"]["lookback_config"]["value"] == 14


async def test_an_answer_that_is_lost_records_nothing_twice(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.reviewed(history("monthly"), "Cut off")
    lost: list[str] = []

    async def lose_the_first_answer(route: Route) -> None:
        if not lost:
            lost.append(str(await route.request.header_value("idempotency-key")))
            await route.fetch()
            await route.abort()
        else:
            lost.append(str(await route.request.header_value("idempotency-key")))
            await route.continue_()

    await page.route("**/api/**/submit", lose_the_first_answer)
    await tab.open(f"{path}/submit")
    await tab.button("Start the history").dblclick()
    # By the second answer, or by the live stream, which may be faster.
    await tab.on("Cut off")
    assert "/results/" in page.url
    assert len(set(lost)) == 1
    collections = await ground.service.read("/api/data-collections?limit=200")
    assert [each["name"] for each in collections["items"]].count("Cut off") == 1


async def test_a_workflow_that_changes_under_a_review_is_reviewed_again(tab: Tab, ground: Ground) -> None:
    page = tab.page
    sql = "SELECT campaign, SUM(clicks) AS clicks FROM sponsored_ads_traffic GROUP BY campaign"
    made = await ground.service.done("/api/workflows", {"name": "Moving", "sql_query": sql})
    path = await ground.with_schedule({"schedule_type": "once"}, "Moving", workflow_id=made["workflow_id"])
    await tab.open(f"{path}/review")
    await page.get_by_role("region", name="SQL with the parameters filled in").wait_for()
    changed = {"name": "Moving", "sql_query": sql.replace("SUM(clicks)", "SUM(impressions)")}
    assert (await ground.service.send("PUT", f"/api/workflows/{made['workflow_id']}", changed)).status == 200
    await tab.button("Confirm and continue").click()
    await expect(page.get_by_role("alert")).to_contain_text("Something has changed")
    await expect(page.get_by_role("region", name="SQL with the parameters filled in")).to_contain_text("impressions")
    await tab.button("Confirm and continue").click()
    await tab.on("Submit")


async def test_amazon_checks_the_sql_before_anything_runs(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open(f"{await ground.with_schedule(history('weekly'), 'Checked')}/review")
    await tab.button("Test run").click()
    await expect(page.get_by_role("heading", name="Amazon takes the SQL with these parameters")).to_be_visible()
    await tab.button("Confirm and continue").click()
    await tab.on("Submit")


async def test_a_lost_connection_is_told_and_the_page_goes_on(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.with_parameters("Offline")
    await tab.open(f"{path}/schedule")
    await page.get_by_role("heading", name="Next 10 runs").wait_for()
    await page.context.set_offline(True)
    await tab.chip("Tue").click()
    await expect(page.get_by_text("Connection lost, trying again")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("Connection lost, trying again")).to_have_count(0)
    await expect(page.get_by_role("checkbox", name="Tue")).to_be_checked()
    await tab.button("Save and continue").click()
    await tab.on("Review")

    # A page that is not loaded yet comes once the service is back, with all that belongs to it.
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Workflows").click()
    await expect(page.get_by_text("The page that you opened comes then.")).to_be_visible()
    await page.context.set_offline(False)
    await tab.on("Workflows")
    styled = "[...document.querySelectorAll('link[rel=stylesheet]')].every((each) => each.sheet)"
    await expect(page.get_by_role("table", name="Workflows")).to_be_visible()
    assert await page.evaluate(styled)


async def test_segments_that_are_there_already_are_told_apart(tab: Tab, ground: Ground) -> None:
    page = tab.page
    old = {"type": "custom", "startDate": "2026-06-01", "endDate": "2026-06-30"}
    path = await ground.submitted(history("weekly", **old), "June, first")
    submitted = {"collection_id": (await ground.report(path))["collection_id"], "position": 0}
    await ground.service.finished(submitted)
    await tab.open(f"{await ground.with_schedule(history('weekly', **old), 'June, again')}/review")
    await expect(page.get_by_text("Left out").first).to_be_visible()
    await page.get_by_text("All 5 periods as a list").click()
    await expect(page.get_by_role("region", name="Periods")).to_contain_text("final: it is not run again")


async def test_two_tabs_on_one_report_know_of_each_other(tab: Tab, ground: Ground) -> None:
    page = tab.page
    path = await ground.reviewed(weekly("06:16"), "In two tabs")
    other = Tab(await page.context.new_page(), tab.url)
    await tab.open(f"{path}/parameters")
    await other.open(f"{path}/submit")
    await tab.on("Parameters")
    await tab.chip("Last 14 days").click()
    await tab.button("Save and continue").click()
    await tab.on("Schedule")
    await other.button("Start the weekly schedule").click()
    # It is led to what has changed, and told why.
    await other.on("Review")
    await expect(other.page.get_by_role("alert")).to_contain_text("Submit is not open yet")
    await expect(other.page.get_by_role("alert")).to_contain_text("The report has changed since it was reviewed")
    await expect(other.page.get_by_text("The last 14 days with complete data")).to_be_visible()
    await other.button("Confirm and continue").click()
    await other.button("Start the weekly schedule").click()
    await other.on("In two tabs")
    # The first one is told by the live stream, and closes the step.
    await tab.on("In two tabs")
    await expect(page.get_by_text("This report is submitted, and its steps are closed.")).to_be_visible()
    assert other.faults == []
