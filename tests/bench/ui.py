"""How the pages feel: a year of live days in Chromium while the engine runs them, and each first look at a page on a
processor four times slower.

Everything is as an operator runs it: the service and the sandbox are processes, the events come through the live
stream. Interactions are what Chromium itself measured, from the key or click to the next frame (Event Timing).
Exit code 1 where a target is missed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import asyncpg
import msgspec
from playwright.async_api import Browser, Page

from tests.bench.lines import alone
from tests.bench.place import Outcome, Place
from tests.deployment import Api, Deployment, write_numbers
from tests.postgres import Database, Server
from tests.ui.browsing import Tab, chromium

DAYS = 365
AT_ONCE = 10
RUNNING = "0.7"
"""Seconds of an execution: with so many at once, somewhat over 50 events a second."""

SLOWEST_MS = 100.0
LEAST_EVENTS = 50.0
ROUNDS = 5
SLOW_DOWN = 4
SETTLES = 1.0
"""Seconds in which a page loads what it has not needed to be painted; its stream of events never ends."""
PAINT_MS = 1000.0
SCRIPT_KB = 250.0


class Live(msgspec.Struct, frozen=True):
    """The live page. Milliseconds of an interaction, and of the longest time that the page was busy with one thing
    (0 where nothing took 50 ms)."""

    seconds: float
    events_per_second: float
    interactions: int
    median_ms: float
    slowest_ms: float
    longest_task_ms: float


class Look(msgspec.Struct, frozen=True):
    """A first look at a page, with nothing kept from before, in each of the rounds. kB are of 1,000 bytes as they were
    transferred."""

    page: str
    paints_ms: list[float]
    scripts_kb: float


async def run(place: Place) -> Outcome:
    """Raises AssertionError where the backfill is not exact in the end."""
    live, looks = await _measure(place.server, place.folder / "service", 1 if place.quick else ROUNDS)
    scenario = f"page of {DAYS} live days"
    lines = [
        alone(scenario, "events", "/s", [live.events_per_second], better="more", target=LEAST_EVENTS),
        alone(scenario, "slowest interaction", "ms", [live.slowest_ms], better="less", target=SLOWEST_MS),
        alone(scenario, "median interaction", "ms", [live.median_ms], better="less"),
        alone(scenario, "longest task", "ms", [live.longest_task_ms], better="less"),
    ]
    for look in looks:
        scenario = f"{look.page}, processor {SLOW_DOWN} × slower"
        lines += [
            alone(scenario, "first paint", "ms", look.paints_ms, better="less", target=PAINT_MS),
            alone(scenario, "scripts", "kB", [look.scripts_kb], better="less", target=SCRIPT_KB),
        ]
    return Outcome(lines)


async def _measure(server: Server, folder: Path, rounds: int) -> tuple[Live, list[Look]]:
    folder.mkdir()
    async with server.fresh_database() as database, aiohttp.ClientSession() as http, chromium() as browser:
        deployment = Deployment(folder, {"REPORT_BUILDER_DATABASE_URL": database.service_url})
        try:
            first, last = write_numbers(folder / "numbers.csv", DAYS)
            deployment.start_sandbox(folder / "numbers.csv", "--running-seconds", RUNNING, "--max-concurrent", "50")
            deployment.start("run")
            api = Api(http, deployment)
            await api.ready()
            collection = await api.submit_backfill(first, last, parallel_limit=AT_ONCE)
            live = await _live(browser, database, api, collection)
            await api.finished(collection, seconds=300)
            await api.assert_exact(collection, DAYS)
            report = (await api.get("/api/reports", limit=1))["items"][0]["report_id"]
            pages = {
                "Overview": "/",
                "Reports": "/reports",
                "Parameters": f"/reports/{report}/parameters",
                "Live page": f"/results/{collection}",
                "Schedules": "/schedules",
                "Log": "/audit",
            }
            looks = [await _look(browser, name, deployment.url + path, rounds) for name, path in pages.items()]
        finally:
            deployment.stop()
    return live, looks


async def _live(browser: Browser, database: Database, api: Api, collection: str) -> Live:
    """Sorts, filters and walks through the days until most of them are in."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    await context.add_init_script(OBSERVERS)
    tab = Tab(await context.new_page(), api.deployment.url)
    page = tab.page
    await tab.open(f"/results/{collection}")
    calendar = page.get_by_role("table").filter(has=page.get_by_role("button")).first.get_by_role("button")
    await calendar.first.wait_for()
    await api.completed(collection, 10, seconds=60)
    connection = await asyncpg.connect(database.admin_url)
    try:
        await page.evaluate("observed.tasks.length = observed.interactions.length = 0")
        position, begun = await connection.fetchval(POSITION), time.monotonic()
        typed = ""
        while (await api.get(f"/api/data-collections/{collection}"))["segments_completed"] < DAYS * 0.8:
            await page.get_by_role("columnheader", name="Rows").get_by_role("button").click()
            typed = "" if typed == "2026" else "2026"[: len(typed) + 1]
            await tab.field("Find").fill(typed)
            await calendar.first.focus()
            for key in ("ArrowRight", "ArrowDown", "Enter"):
                await page.keyboard.press(key)
            await page.get_by_role("dialog").wait_for()
            await page.keyboard.press("Escape")
            await asyncio.sleep(0.3)
        seconds = time.monotonic() - begun
        events = await connection.fetchval(POSITION) - position
    finally:
        await connection.close()
    found: Any = await page.evaluate("observed")
    await context.close()
    assert tab.faults == [], tab.faults
    taken: Sequence[float] = found["interactions"]
    return Live(
        seconds=seconds,
        events_per_second=events / seconds,
        interactions=len(taken),
        median_ms=median(taken),
        slowest_ms=max(taken),
        longest_task_ms=max(found["tasks"], default=0),
    )


POSITION = "SELECT coalesce(max(position), 0) FROM report_builder_audit"

# An interaction of less than 16 ms is not told: what is counted are the slower ones.
OBSERVERS = """
window.observed = { tasks: [], interactions: [] }
new PerformanceObserver((list) => {
  observed.tasks.push(...list.getEntries().map((each) => each.duration))
}).observe({ type: 'longtask' })
new PerformanceObserver((list) => {
  observed.interactions.push(...list.getEntries().filter((each) => each.interactionId).map((each) => each.duration))
}).observe({ type: 'event', durationThreshold: 16 })
"""


async def _look(browser: Browser, name: str, url: str, rounds: int) -> Look:
    """Each round in a browser window of its own, whose cache is empty."""
    seen = []
    for _ in range(rounds):
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOW_DOWN})
        await page.goto(url)
        await page.get_by_role("heading", level=1).wait_for()
        await asyncio.sleep(SETTLES)
        seen.append(await _painted(page))
        await context.close()
    paints = [each["paint"] for each in seen]
    return Look(name, paints, median(each["scripts"] for each in seen) / 1000)


async def _painted(page: Page) -> Mapping[str, float]:
    figures: Mapping[str, float] = await page.evaluate(
        """() => ({
          paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
          scripts: performance.getEntriesByType('resource')
            .filter((each) => new URL(each.name).pathname.endsWith('.js'))
            .reduce((sum, each) => sum + each.encodedBodySize, 0),
        })"""
    )
    return figures
