"""What holds of every page and state: it is for everyone, fits every screen, and keeps to its policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, expect

from tests.ui.browsing import Tab
from tests.ui.ground import Ground
from tests.ui.scenes import PAGES, SCENES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]

AXE = Path(__file__).parents[2] / "service/ui/node_modules/axe-core/axe.min.js"
WIDTHS = (320, 768, 1440)

# While a list of choices is open react-aria hides the rest from screen readers; the focus cannot leave the list but by
# closing it. What axe says of that is no news.
OPEN_LIST = {"aria-hidden-focus", "page-has-heading-one", "region"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    """One for all scenes, which have a tab each, so that the scripts are loaded once. The tool comes as a script within
    the page, which the policy refuses: that is looked at by the other tests."""
    size = {"width": 1280, "height": 900}
    context = await browser.new_context(viewport=size, bypass_csp=True, reduced_motion="reduce")  # type: ignore[arg-type]
    yield context
    await context.close()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in PAGES else [pytest.mark.long]) for name in SCENES]
)
async def test_a_page_is_for_everyone_and_fits_every_screen(window: BrowserContext, ground: Ground, name: str) -> None:
    tab = Tab(await window.new_page(), ground.url)
    await SCENES[name](tab, ground)
    await tab.page.evaluate(AXE.read_text())
    found: dict[str, list[str]] = {}
    # Colours are all that the theme changes.
    themes: list[tuple[Literal["light", "dark"], list[str] | None]] = [("light", None), ("dark", ["color-contrast"])]
    for theme, rules in themes:
        await tab.page.emulate_media(color_scheme=theme)
        await tab.settled()
        found |= {f"{theme}: {each}": where for each, where in (await violations(tab, rules)).items()}
    for width in WIDTHS:
        await tab.page.set_viewport_size({"width": width, "height": 900})
        await tab.settled()
        if wrong := [each for each in (await tab.too_wide(), await tab.clipped()) if each]:
            found[f"{width} px"] = wrong
    await tab.page.close()
    assert not found, msgspec.json.format(msgspec.json.encode(found)).decode()


async def violations(tab: Tab, rules: list[str] | None) -> dict[str, list[str]]:
    """axe's, by rule: what they are about. Of these rules, or of all."""
    options: dict[str, Any] = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    answer: Any = await tab.page.evaluate("(options) => axe.run(document, options)", options)
    known = OPEN_LIST if await tab.page.get_by_role("listbox").count() else set()
    return {
        each["id"]: [f"{node['html'][:160]} {node['failureSummary'][:200]}" for node in each["nodes"]]
        for each in answer["violations"]
        if each["id"] not in known
    }


async def test_the_theme_that_was_chosen_is_there_before_the_page(tab: Tab) -> None:
    page = tab.page
    await page.emulate_media(color_scheme="light")
    await tab.open("/reports")
    await tab.on("Reports")
    await page.get_by_role("button", name="settings").click()
    await tab.chip("Dark").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await tab.settled()
    dark = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    # Not even a script of the page has run by then.
    await page.route("**/assets/index-*.js", lambda route: route.abort())
    await page.reload()
    assert await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == dark
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_the_bar_stands_where_it_will_before_any_script_runs(tab: Tab, browser: Browser) -> None:
    name = tab.page.get_by_role("link", name="Report Builder")
    await tab.open("/reports")
    await tab.on("Reports")
    places = [await name.bounding_box()]
    context = await browser.new_context(viewport=tab.page.viewport_size, java_script_enabled=False)
    bare = await context.new_page()
    await bare.goto(f"{tab.url}/reports")
    places.append(await bare.get_by_role("link", name="Report Builder").bounding_box())
    await context.close()
    assert places[0] is not None
    assert places[0] == places[1]


async def test_only_what_is_needed_is_loaded_and_kept_for_ever(tab: Tab) -> None:
    loaded: dict[str, dict[str, str]] = {}
    tab.page.on("response", lambda each: loaded.update({each.url.removeprefix(tab.url): each.headers}))
    await tab.open("/reports")
    await tab.on("Reports")
    await tab.page.get_by_role("searchbox", name="Search by name").wait_for()
    assert loaded["/reports"]["cache-control"] == "no-cache"
    assets = {path: headers for path, headers in loaded.items() if path.startswith("/assets/")}
    assert any("ReportsPage" in path for path in assets)
    assert not any("ParametersPage" in path for path in assets)
    for headers in assets.values():
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert headers["content-encoding"] == "br"
