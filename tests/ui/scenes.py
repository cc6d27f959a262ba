"""Every page and state of the interface, and how to get there: to be judged for accessibility, measured and looked at.

A new page adds its scenes here.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from playwright.async_api import Route

from tests.service import INSTANCE_ID
from tests.ui.browsing import Tab
from tests.ui.ground import LONG_NAME, Ground, afresh, history, of_june, weekly

Scene = Callable[[Tab, Ground], Awaitable[None]]

SCENES: dict[str, Scene] = {}
PAGES: list[str] = []
"""The scene of each page that stands for it where there is no time for all."""


def scene(go: Scene) -> Scene:
    """Registers a scene under the name of its function."""
    SCENES[go.__name__.replace("_", "-")] = go
    return go


def page(go: Scene) -> Scene:
    """A scene that stands for its page."""
    PAGES.append(go.__name__.replace("_", "-"))
    return scene(go)


async def answer(tab: Tab, path: str, body: object, status: int = 200) -> None:
    """Lets the API answer this, as far as the page sees."""

    async def fulfil(route: Route) -> None:
        kind = "application/json" if status < 400 else "application/problem+json"
        await route.fulfill(status=status, body=msgspec.json.encode(body), content_type=kind)

    await tab.page.route(path, fulfil)


def problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {"type": f"/docs/errors#{code}", "title": code, "status": status, "code": code, "detail": detail}


@page
async def reports(tab: Tab, ground: Ground) -> None:
    await ground.begun("Just begun")
    await ground.with_schedule(weekly(), LONG_NAME)
    await ground.submitted({"schedule_type": "once"}, "Reach, once")
    await tab.open("/reports")
    await tab.page.get_by_role("link", name="Just begun").first.wait_for()


@scene
async def reports_empty(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/api/reports*", {"items": [], "next_cursor": None})
    await tab.open("/reports")
    await tab.page.get_by_role("heading", name="No reports yet").wait_for()


@scene
async def reports_loading(tab: Tab, ground: Ground) -> None:
    async def never(route: Route) -> None:
        pass

    await tab.page.route("**/api/reports*", never)
    await tab.open("/reports")
    await tab.page.get_by_text("Loading").wait_for(state="attached")


@scene
async def reports_failed(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/api/reports*", problem(500, "internal", "the fault is recorded"), 500)
    await tab.open("/reports")
    await tab.page.get_by_role("heading", name="The service failed").wait_for()


@scene
async def reports_not_allowed(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/api/reports*", problem(403, "forbidden", "it takes the scope reports:write"), 403)
    await tab.open("/reports")
    await tab.page.get_by_role("heading", name="You are not allowed to do this").wait_for()


@scene
async def reports_connection_lost(tab: Tab, ground: Ground) -> None:
    await tab.open("/reports")
    await tab.on("Reports")
    await tab.page.route("**/api/**", lambda route: route.abort())
    await tab.page.get_by_role("link", name="New report").first.click()
    await tab.field("Name of the report").fill("x")
    await tab.button("Begin").click()
    await tab.page.get_by_text("Connection lost, trying again").wait_for()
    await tab.page.get_by_role("heading", name="The connection was lost").wait_for()


@page
async def overview(tab: Tab, ground: Ground) -> None:
    await ground.submitted({"schedule_type": "once"}, LONG_NAME)
    await busy(ground)
    await tab.open("/")
    await tab.page.get_by_role("heading", name="Waits for a person").wait_for()
    await tab.page.get_by_role("table", name="Brands").wait_for()


@scene
async def overview_first_day(tab: Tab, ground: Ground) -> None:
    for path in ("data-collections", "schedules", "reports"):
        await answer(tab, f"**/api/{path}*", {"items": [], "next_cursor": None})
    await tab.open("/")
    await tab.page.get_by_role("heading", name="Nothing has run yet").wait_for()


@scene
async def overview_of_an_account_that_amazon_refuses(tab: Tab, ground: Ground) -> None:
    await busy(ground)
    instances = await ground.service.read("/api/instances")
    remedy = "connect it again"
    held = {"reason": "account_revoked", "account_id": "default", "since": "2026-11-20T09:30:00Z", "remedy": remedy}
    first, *others = instances["items"]
    await answer(tab, "**/api/instances?*", {**instances, "items": [first | {"held_by": held}, *others]})
    await answer(tab, "**/api/dead-letters*", LETTERS)
    await tab.open("/")
    await tab.page.get_by_text("Amazon no longer accepts its account").wait_for()


@page
async def navigation_on_a_phone(tab: Tab, ground: Ground) -> None:
    await tab.page.set_viewport_size({"width": 320, "height": 900})
    await tab.open("/instances")
    await tab.page.get_by_role("table", name="Instances").wait_for()
    await tab.button("Menu").click()


@page
async def results(tab: Tab, ground: Ground) -> None:
    await busy(ground)
    await tab.open("/results")
    await tab.page.get_by_text("Waits for a person").first.wait_for()


@scene
async def results_of_none(tab: Tab, ground: Ground) -> None:
    await tab.open("/results?search=nothing+is+called+so&status=failed")
    await tab.page.get_by_role("heading", name="No result like that").wait_for()


@page
async def schedules(tab: Tab, ground: Ground) -> None:
    await scheduled(ground, LONG_NAME, "05:41")
    await tab.open("/schedules")
    await tab.page.get_by_role("table", name="Schedules").wait_for()


@page
async def schedule_page(tab: Tab, ground: Ground) -> None:
    schedule = await scheduled(ground, "Each Monday", "05:42")
    if schedule["last_run"] is None:
        await ground.service.done(f"/api/schedules/{schedule['schedule_id']}/run-now", {})
    await tab.open(f"/schedules/{schedule['schedule_id']}")
    await tab.page.get_by_role("link", name=re.compile("^CSV of")).first.wait_for(timeout=30_000)
    await tab.page.get_by_text("The rules in full").click()


@scene
async def schedule_asked_to_end(tab: Tab, ground: Ground) -> None:
    schedule = await scheduled(ground, LONG_NAME, "05:41")
    await tab.open(f"/schedules/{schedule['schedule_id']}")
    await tab.button("End").click()
    await tab.page.get_by_role("dialog").wait_for()


@page
async def schedule_changed(tab: Tab, ground: Ground) -> None:
    schedule = await scheduled(ground, "Each Monday", "05:42")
    await tab.open(f"/schedules/{schedule['schedule_id']}/change")
    await tab.chip("Daily").click()
    await tab.page.get_by_role("heading", name="After").wait_for()


@page
async def workflows(tab: Tab, ground: Ground) -> None:
    await tab.open("/workflows")
    await tab.page.get_by_role("table", name="Workflows").wait_for()


@page
async def workflow(tab: Tab, ground: Ground) -> None:
    await tab.open(f"/workflows/{ground.tracked}")
    await tab.page.get_by_role("table", name="Versions").wait_for()


@page
async def workflow_edited_with_mistakes(tab: Tab, ground: Ground) -> None:
    await tab.open(f"/workflows/{ground.tracked}/edit")
    await tab.field("SQL").fill("SELECT {{asins}}, CUSTOM_PARAMETER('brand') FROM sponsored_ads_traffic")
    await tab.button("Check and save").click()
    await tab.page.get_by_role("alert").wait_for()


@page
async def instances(tab: Tab, ground: Ground) -> None:
    await tab.open("/instances")
    await tab.page.get_by_role("table", name="Accounts").wait_for()


@page
async def instance_that_amazon_fails_on(tab: Tab, ground: Ground) -> None:
    (found,) = (await ground.service.read("/api/instances"))["items"]
    failing = {"failures": 5, "error": "503 Service Unavailable", "resting_until": "2099-01-01T09:30:00Z"}
    await answer(tab, "**/api/instances/*", {**found, "failing": failing, "granted_to": ["Contoso Retail Europe"]})
    await tab.open(f"/instances/{found['instance_id']}")
    await tab.page.get_by_text("It is left alone for a while").wait_for()


@page
async def account(tab: Tab, ground: Ground) -> None:
    await tab.open("/accounts/default")
    await tab.page.get_by_role("table", name="Instances that Amazon lists").wait_for()


@page
async def account_to_connect(tab: Tab, ground: Ground) -> None:
    await tab.open("/accounts/new")
    await tab.button("Connect").click()
    await tab.page.get_by_role("alert").wait_for()


@page
async def instance_to_add(tab: Tab, ground: Ground) -> None:
    await tab.open("/accounts/default/add/amcsandbox2")
    await tab.button("Add the instance").wait_for()


@page
async def dead_letters(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/api/dead-letters*", LETTERS)
    await tab.open("/dead-letters")
    await tab.button("Discard").first.click()
    await tab.page.get_by_role("dialog").wait_for()


@scene
async def dead_letters_of_none(tab: Tab, ground: Ground) -> None:
    await tab.open("/dead-letters")
    await tab.page.get_by_role("heading", name="Nothing was given up").wait_for()


@page
async def sign_in(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/auth/session", problem(401, "unauthenticated", "sign in"), 401)
    await tab.open("/")
    await tab.on("Sign in")


@scene
async def sign_in_by_link(tab: Tab, ground: Ground) -> None:
    await sign_in(tab, ground)
    await tab.button("Sign in").click()
    await tab.button("I have opened the link").wait_for()


@page
async def settings(tab: Tab, ground: Ground) -> None:
    session = await ground.service.read("/auth/session")
    person = {"name": "Ada Lovelace", "email": "ada@example.com", "credential": "session", "csrf_token": "x"}
    teams = {"teams": ["Northwind Media", "Contoso Retail Europe"], "team_id": "Northwind Media"}
    await answer(tab, "**/auth/session", {**session, **person, **teams})
    await tab.open("/")
    await tab.button("Ada Lovelace Settings").click()


@page
async def not_found(tab: Tab, ground: Ground) -> None:
    await tab.open("/nowhere")
    await tab.on("There is no such page")


@scene
async def report_not_found(tab: Tab, ground: Ground) -> None:
    await tab.open("/reports/3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90")
    await tab.page.get_by_role("heading", name="There is nothing here").wait_for()


@page
async def new_report(tab: Tab, ground: Ground) -> None:
    await tab.open("/reports/new")
    await tab.on("New report")


@scene
async def parameters_empty(tab: Tab, ground: Ground) -> None:
    await tab.open(f"{await ground.begun()}/parameters")
    await tab.search("Workflow").wait_for()


@scene
async def parameters_without_workflows(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/api/workflows?*", {"items": [], "next_cursor": None})
    await tab.open(f"{await ground.begun()}/parameters")
    await tab.page.get_by_role("heading", name="There is no workflow yet").wait_for()


@page
async def parameters_filled(tab: Tab, ground: Ground) -> None:
    values = {"asins": ["B000000001", "B000000002"], "since": "2026-01-01"}
    path = await ground.with_parameters(LONG_NAME, workflow_id=ground.tracked, parameters=values)
    await tab.open(f"{path}/parameters")
    await tab.page.get_by_text("7 days; Amazon").wait_for()


@scene
async def parameters_list_open(tab: Tab, ground: Ground) -> None:
    await tab.open(f"{await ground.begun()}/parameters")
    await tab.search("Workflow").click()
    await tab.page.get_by_role("option").first.wait_for()


@scene
async def parameters_mistakes(tab: Tab, ground: Ground) -> None:
    await tab.open(f"{await ground.begun()}/parameters")
    await tab.choose("Workflow", "Reach of tracked products")
    lines = [f"B{number:09}" if number % 7 else f"wrong{number}" for number in range(1, 500)]
    area = tab.field("asins")
    await area.wait_for()
    await area.fill("\n".join(lines))
    await tab.field("least_clicks").fill("many")
    await tab.page.get_by_role("list", name="Values that do not fit").wait_for()
    await tab.button("Save and continue").click()
    await tab.page.get_by_text("fields need another look").wait_for()


@scene
async def parameters_relative(tab: Tab, ground: Ground) -> None:
    await parameters_filled(tab, ground)
    await tab.chip("Last …").click()
    await tab.page.get_by_role("spinbutton", name="Last").fill("900")
    await tab.page.get_by_text(re.compile("earliest", re.I)).first.wait_for()


@scene
async def parameters_calendar(tab: Tab, ground: Ground) -> None:
    await parameters_filled(tab, ground)
    await tab.chip("Calendar").click()
    await tab.page.get_by_role("button", name="Open the calendar").last.click()
    await tab.page.get_by_role("grid").first.wait_for()


@scene
async def parameters_zones(tab: Tab, ground: Ground) -> None:
    await parameters_filled(tab, ground)
    await tab.page.get_by_text("Days are counted in").click()
    await tab.search("Time zone of the report").click()
    await tab.page.keyboard.type("new")
    await tab.page.get_by_role("option", name="America/New York").wait_for()


@scene
async def parameters_of_someone_else(tab: Tab, ground: Ground) -> None:
    path = await ground.with_parameters("Shared")
    await tab.open(f"{path}/parameters")
    await tab.chip("Last 14 days").click()
    month = {"type": "relative", "value": 30, "unit": "days", "dataDelayDays": 2}
    step = {"instance_id": "amcsandbox1", "workflow_id": ground.clicks, "lookback_config": month}
    await ground.service.done(f"/api{path}/parameters", step)
    await tab.page.get_by_text(", 14 days").wait_for()
    await tab.button("Save and continue").click()
    await tab.page.get_by_text("Someone else changed this report").wait_for()


@scene
async def schedule_recurring(tab: Tab, ground: Ground) -> None:
    await tab.open(f"{await ground.with_schedule(weekly(), 'Clicks')}/schedule")
    await tab.page.get_by_role("heading", name="Next 10 runs").wait_for()


@scene
async def schedule_recurring_details(tab: Tab, ground: Ground) -> None:
    await schedule_recurring(tab, ground)
    await tab.chip("Monthly").click()
    await tab.page.get_by_text("More about the schedule").click()
    await tab.page.get_by_text("The rules in full").click()


@scene
async def schedule_once(tab: Tab, ground: Ground) -> None:
    path = await ground.with_schedule({"schedule_type": "once"}, "Clicks", lookback_config=QUARTER)
    await tab.open(f"{path}/schedule")
    await tab.page.get_by_text("Recommended:").wait_for()


@page
async def schedule_history(tab: Tab, ground: Ground) -> None:
    await tab.open(f"{await ground.with_schedule(history('weekly'), 'Clicks')}/schedule")
    await tab.page.get_by_text("All 52 periods as a list").click()
    await tab.page.get_by_text("How the periods are fetched").click()


@scene
async def schedule_history_of_days(tab: Tab, ground: Ground) -> None:
    await tab.open(f"{await ground.with_schedule(history('daily'), 'Clicks')}/schedule")
    await tab.chip("History and recurring").click()
    await tab.page.get_by_text("All 364 periods as a list").wait_for()
    await tab.page.get_by_role("heading", name="Next 10 runs").wait_for()


@scene
async def schedule_mistakes(tab: Tab, ground: Ground) -> None:
    await schedule_history(tab, ground)
    await tab.page.get_by_role("spinbutton", name="At once").fill("99")
    await tab.chip("Recurring").click()
    await tab.chip("Mon").click()
    await tab.button("Save and continue").click()
    await tab.page.get_by_text("One field needs another look").wait_for()


@page
async def review(tab: Tab, ground: Ground) -> None:
    values = {"asins": [f"B{number:09}" for number in range(40)], "since": "2026-01-01", "match_type": "EXACT"}
    step = {**weekly("07:30"), "schedule_type": "backfill_with_schedule"}
    step["backfill_config"] = history("weekly")["backfill_config"]
    path = await ground.with_schedule(
        step, LONG_NAME, workflow_id=ground.tracked, parameters=values, timezone="America/New_York"
    )
    await tab.open(f"{path}/review")
    await tab.page.get_by_role("heading", name="Next 10 runs").wait_for()


@scene
async def review_rejected(tab: Tab, ground: Ground) -> None:
    sql = "SELECT campaign, SUM(no_such_column) AS n FROM sponsored_ads_traffic GROUP BY campaign"
    made = await ground.service.done("/api/workflows", {"name": "With a mistake", "sql_query": sql})
    path = await ground.with_schedule({"schedule_type": "once"}, "Wrong", workflow_id=made["workflow_id"])
    await tab.open(f"{path}/review")
    await tab.button("Test run").click()
    await tab.page.get_by_role("heading", name="Amazon rejects the SQL or the parameters").wait_for()


@page
async def submit(tab: Tab, ground: Ground) -> None:
    step = {**weekly("07:30"), "schedule_type": "backfill_with_schedule"}
    step["backfill_config"] = history("daily")["backfill_config"]
    await tab.open(f"{await ground.reviewed(step, LONG_NAME)}/submit")
    await tab.button("Start the history and the weekly schedule").wait_for()


@scene
async def submit_refused(tab: Tab, ground: Ground) -> None:
    path = await ground.reviewed(history("weekly"), "One too many")
    refused = problem(409, "too_many_backfills", "5 run") | {"limit": 5}
    await answer(tab, "**/api/**/submit", refused, 409)
    await tab.open(f"{path}/submit")
    await tab.button("Start the history").click()
    await tab.page.get_by_role("heading", name="You have as many histories running as you may").wait_for()


@scene
async def report_draft(tab: Tab, ground: Ground) -> None:
    await tab.open(await ground.with_schedule(weekly(), "Half done"))
    await tab.page.get_by_role("link", name="Continue with review").wait_for()


@page
async def report_submitted(tab: Tab, ground: Ground) -> None:
    june = history("weekly", type="custom", startDate="2026-06-01", endDate="2026-06-30")
    step = {**weekly("05:44"), "schedule_type": "backfill_with_schedule"}
    step["backfill_config"] = june["backfill_config"]
    path = await ground.reviewed(step, "June, and each Monday")
    digest = (await ground.report(path))["review"]["digest"]
    answered = await ground.service.post(f"/api{path}/submit", {"digest": digest})
    if answered.status == 409:  # by the scene before this one; its report is the same
        path = f"/reports/{await _report_of(ground, answered.json['schedule_id'])}"
    await tab.open(path)
    await tab.page.get_by_role("link", name="CSV", exact=True).wait_for()


async def under_way(tab: Tab, ground: Ground, cut: str, **changed: Any) -> str:
    """The page of a history that has come half of the way, as far as the page sees, with something of everything;
    answers the collection."""
    ident = await ground.collection(afresh(history(cut), parallel_limit=1), LONG_NAME, ended=False)
    await ground.service.done(f"/api/data-collections/{ident}/cancel", {})
    progress = await ground.progress(ident)
    now = datetime.now(UTC).replace(microsecond=0)
    at = {name: (now + timedelta(minutes=minutes)).isoformat() for name, minutes in MOMENTS.items()}
    for number, segment in enumerate(reversed(progress["segments"])):
        segment |= {"status": "pending", "attempts": 0, "finished_at": None, "dispatched_at": None, "error": None}
        if number < 2:
            segment |= {**COMPLETE, "provisional": True, "dispatched_at": at["began"], "finished_at": at["ended"]}
        elif number < len(progress["segments"]) // 2:
            segment |= {**COMPLETE, "provisional": False, "dispatched_at": at["began"], "finished_at": at["ended"]}
        elif number < len(progress["segments"]) // 2 + 6:
            segment |= {"status": ("dispatched", "submitted", "running")[number % 3], "attempts": 1}
        if number in (3, 9):
            segment |= {"status": "failed", "attempts": 5, "error": FAULT, "provisional": None, "row_count": None}
        if number == 7:
            segment |= {"status": "waiting", "attempts": 2, "error": FAULT, "provisional": None, "row_count": None}
            segment |= {"retry_at": at["later"], "finished_at": None}
    progress["collection"] |= {"cancelled": None, "finished_at": None, "backfill_status": "in_progress"}
    progress["collection"] |= {"started_at": at["began"], "row_count": 4212, **changed}
    progress |= {"per_hour": 94.0, "estimate": {"earliest": at["soon"], "latest": at["later"]}}
    progress["limited_by"] = [
        {"reason": "slowed", "detail": "slowed by Amazon: 429, next try 14:02", "until": at["soon"]},
        {"reason": "parallel_limit", "detail": "6 at once, as it is set up", "until": None},
    ]
    await answer(tab, "**/api/data-collections/*/progress*", progress)
    await tab.open(f"/results/{ident}")
    await tab.page.get_by_role("heading", name="Periods", exact=True).wait_for()
    return ident


MOMENTS = {"began": -9, "ended": -8, "soon": 7, "later": 41}
COMPLETE = {"status": "completed", "attempts": 1, "row_count": 84, "amc_execution_id": "e-1"}
FAULT = "Workflow execution failed due to an internal error. Reference 4f1c; see the guide of your marketplace."


@page
async def result_under_way(tab: Tab, ground: Ground) -> None:
    await under_way(tab, ground, "weekly")


@scene
async def result_of_days_under_way(tab: Tab, ground: Ground) -> None:
    await under_way(tab, ground, "daily")
    await tab.page.get_by_role("button", name="Attempts").click()


@scene
async def result_of_months_held(tab: Tab, ground: Ground) -> None:
    held = {"cause": "sql_rejected", "segment_id": None, "at": datetime.now(UTC).isoformat(), "error": FAULT}
    account = {"reason": "account_revoked", "account_id": "a", "since": datetime.now(UTC).isoformat()}
    account["remedy"] = "Have an administrator connect the account of Northwind Media again."
    await under_way(tab, ground, "monthly", held=held, held_by=account)
    await tab.page.get_by_role("heading", name="Amazon does not take the SQL or its values").wait_for()


@scene
async def result_to_cancel(tab: Tab, ground: Ground) -> None:
    await under_way(tab, ground, "monthly")
    await tab.button("Cancel …").click()
    await tab.field("Why").fill("The brand wants it by week")


@scene
async def result_settings(tab: Tab, ground: Ground) -> None:
    await under_way(tab, ground, "monthly")
    await tab.button("How it runs").click()
    await tab.page.get_by_role("spinbutton", name="Periods at once").wait_for()


@page
async def result_complete(tab: Tab, ground: Ground) -> None:
    await tab.open(f"/results/{await ground.collection(of_june(), 'June, by week')}")
    await tab.page.get_by_role("img", name="impressions").wait_for()
    await tab.page.get_by_text("The same as numbers").click()


@scene
async def result_as_table(tab: Tab, ground: Ground) -> None:
    await tab.open(f"/results/{await ground.collection({'schedule_type': 'once'}, 'A week')}")
    await tab.chip("Table").click()
    await tab.page.get_by_role("region", name="The first rows").wait_for()


@scene
async def result_period_failed(tab: Tab, ground: Ground) -> None:
    await ground.faults(fail_windows=["2026-06-08"])
    ident = await ground.collection(of_june(max_attempts=2), "June, with a fault")
    await ground.faults()
    await tab.open(f"/results/{ident}")
    await tab.page.get_by_role("button", name="8 to 14 June 2026").first.click()
    await tab.page.get_by_text("Everything that happened").click()


@scene
async def result_not_found(tab: Tab, ground: Ground) -> None:
    await tab.open("/results/3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90")
    await tab.page.get_by_role("heading", name="There is nothing here").wait_for()


async def _report_of(ground: Ground, schedule_id: str) -> str:
    return str((await ground.service.read(f"/api/schedules/{schedule_id}"))["report_id"])


QUARTER = {"type": "relative", "value": 3, "unit": "months", "align": "calendar", "dataDelayDays": 2}


async def busy(ground: Ground) -> None:
    """A history that Amazon has rejected, and a schedule that somebody has paused."""
    names = [each["name"] for each in (await ground.service.read("/api/data-collections?limit=200"))["items"]]
    if "Purchases by keyword" not in names:
        sql = "SELECT keyword, SUM(purchases) AS purchases FROM no_such_table GROUP BY keyword"
        made = await ground.service.done("/api/workflows", {"name": "Purchases by keyword", "sql_query": sql})
        quarter = history("weekly", **QUARTER)
        await ground.submitted(quarter, "Purchases by keyword", workflow_id=made["workflow_id"])
        path = "/api/data-collections?search=purchases+by+keyword"
        async with asyncio.timeout(20):
            while not any(each["held"] for each in (await ground.service.read(path))["items"]):
                await asyncio.sleep(0.1)
    schedule = await scheduled(ground, "During the sale", "05:43")
    if schedule["status"] == "active":
        reason = {"reason": "No numbers while prices move."}
        await ground.service.done(f"/api/schedules/{schedule['schedule_id']}/pause", reason)


async def scheduled(ground: Ground, name: str, time: str) -> Any:
    """The schedule of this name and time, once for all scenes."""
    found = (await ground.service.read("/api/schedules?limit=200"))["items"]
    for each in found:
        if each["name"] == name and each["schedule_config"]["time"] == time:
            return each
    path = await ground.reviewed(weekly(time), name)
    digest = (await ground.report(path))["review"]["digest"]
    submitted = await ground.service.done(f"/api{path}/submit", {"digest": digest})
    position = submitted["position"]
    return await ground.service.read(f"/api/schedules/{submitted['schedule_id']}?min_position={position}")


LETTERS = {
    "items": [
        {
            "letter_id": "1",
            "queue": "bulk.fetch",
            "reason": "delivery_limit",
            "died_at": "2026-11-23T08:15:00Z",
            "team_id": "Contoso Retail Europe",
            "collection_id": "01a20a53-b9e1-747b-a143-96c3e8891d6a",
            "segment_id": "01a20a53-b9e1-747b-a143-96c3e8891d6b",
            "step": "fetch",
            "stalled": True,
            "body": None,
        },
        {
            "letter_id": "2",
            "queue": "interactive.submit",
            "reason": "unreadable",
            "died_at": None,
            "team_id": None,
            "collection_id": None,
            "segment_id": None,
            "step": None,
            "stalled": None,
            "body": '{"segment": ' + "x" * 300,
        },
    ],
    "next_cursor": None,
}


BEHIND = problem(503, "tree_behind", "no tree head covers position 3 yet")


async def changed(ground: Ground, name: str = "Reach, changed") -> tuple[str, list[int]]:
    """A report whose parameters were saved twice: its stream, and its events' positions."""
    values = {"asins": ["B000000001", "B000000002"], "since": "2026-01-01"}
    path = await ground.with_parameters(name, workflow_id=ground.tracked, parameters=values)
    version = (await ground.report(path))["version"]
    step = {
        "instance_id": INSTANCE_ID,
        "workflow_id": ground.tracked,
        "parameters": values | {"asins": ["B000000002", "B000000003", "B000000004"], "least_clicks": 25},
        "lookback_config": {"type": "relative", "value": 14, "unit": "days", "dataDelayDays": 2},
    }
    await ground.service.done(f"/api{path}/parameters", step, **{"If-Match": f'"{version}"'})
    stream = f"report-{path.removeprefix('/reports/')}"
    events = (await ground.service.read(f"/api/audit/activity?stream={stream}&order=oldest"))["items"]
    return stream, [event["position"] for event in events]


@page
async def audit(tab: Tab, ground: Ground) -> None:
    await changed(ground, LONG_NAME)
    await tab.open("/audit")
    await tab.page.get_by_role("table", name="Events").wait_for()
    await tab.page.get_by_text("What this proves, and what it does not").click()
    await tab.page.get_by_text("More filters").click()
    await tab.page.get_by_role("group", name="From the day").wait_for()


@scene
async def audit_of_nothing_like_that(tab: Tab, ground: Ground) -> None:
    await tab.open("/audit?event=log.epoch_begun")
    await tab.page.get_by_role("heading", name="No event like that").wait_for()


@scene
async def audit_behind_and_cosigned(tab: Tab, ground: Ground) -> None:
    log = await ground.service.read("/api/audit/log")
    line = "— witness.example.org/with-a-long-name " + base64.b64encode(b"\0" * 7 + b"\0i\xa5|\0" + b"\1" * 64).decode()
    head = f"{log['head']}{line}\n"
    epoch = {"epoch": 2, "position": 41, "begun_at": "2026-11-01T09:30:00Z", "proven_size": 40}
    more = {"proven_head": None, "last_head": log["head"]}
    body = log | {"head": head, "log_end": log["size"] + 12_345, "epoch": 2, "epochs": [epoch | more]}
    await answer(tab, "**/api/audit/log", body)
    await tab.open("/audit")
    await tab.page.get_by_text("witness.example.org").wait_for()


@scene
async def audit_not_allowed(tab: Tab, ground: Ground) -> None:
    session = await ground.service.read("/auth/session")
    await answer(tab, "**/auth/session", session | {"scopes": ["reports:write", "events:read"]})
    await tab.open("/audit")
    await tab.page.get_by_role("heading", name="You may not read the audit log").wait_for()


@page
async def audit_event(tab: Tab, ground: Ground) -> None:
    _, positions = await changed(ground)
    await tab.open(f"/audit/events/{positions[-1]}")
    await tab.button("Download the proof").wait_for()


@scene
async def audit_event_that_is_not_signed_yet(tab: Tab, ground: Ground) -> None:
    _, positions = await changed(ground)
    await answer(tab, "**/api/audit/proof/*", BEHIND, 503)
    await tab.open(f"/audit/events/{positions[-1]}")
    await tab.page.get_by_role("heading", name="It is recorded, but not signed yet").wait_for()


@scene
async def audit_event_not_found(tab: Tab, ground: Ground) -> None:
    await tab.open("/audit/events/999999999")
    await tab.page.get_by_role("heading", name="There is no such event").wait_for()


@page
async def audit_export_refused(tab: Tab, ground: Ground) -> None:
    await answer(tab, "**/api/audit/export*", BEHIND, 503)
    await tab.open("/audit/export")
    await tab.page.get_by_label("To event no.").fill("12")
    await tab.button("Download the bundle").click()
    await tab.page.get_by_role("heading", name="The signed log has not come so far yet").wait_for()


@page
async def history_of_a_report(tab: Tab, ground: Ground) -> None:
    stream, _ = await changed(ground, LONG_NAME)
    await tab.open(f"/audit/history/{stream}")
    await tab.page.get_by_text("Another moment").click()
    await tab.page.get_by_text("least_clicks").first.wait_for()


@scene
async def history_of_a_result(tab: Tab, ground: Ground) -> None:
    ident = await ground.collection(of_june(), "June, week by week")
    await tab.open(f"/audit/history/collection-{ident}?at=now")
    await tab.page.get_by_role("heading", name="How it stood").wait_for()


@scene
async def history_before_its_beginning(tab: Tab, ground: Ground) -> None:
    stream, _ = await changed(ground)
    await tab.open(f"/audit/history/{stream}?time=2020-01-01T00:00:00Z")
    await tab.page.get_by_role("heading", name="It was not there yet").wait_for()


@scene
async def history_of_nothing(tab: Tab, ground: Ground) -> None:
    await tab.open("/audit/history/report-3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90")
    await tab.page.get_by_role("heading", name="Nothing is recorded of it").wait_for()
