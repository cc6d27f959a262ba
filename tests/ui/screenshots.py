"""`make screenshots`: every scene, in three widths and two themes, into var/screenshots, to be looked at."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

import structlog
from rich.progress import Progress

from tests.postgres import start_server
from tests.ui.browsing import Tab, chromium
from tests.ui.ground import standing
from tests.ui.scenes import SCENES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "var/screenshots"
WIDTHS = (320, 768, 1440)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def take(names: list[str]) -> None:
    """The scenes of these names, or all."""
    wanted = {name: go for name, go in SCENES.items() if not names or name in names}
    if not names:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="report-builder-", dir="/var/tmp"))
    server, postgres = await asyncio.to_thread(start_server, folder / "postgres", durable=False)
    try:
        with Progress() as progress:
            task = progress.add_task("Pictures", total=len(wanted) * len(WIDTHS) * len(THEMES))
            async with standing(server, folder / "data") as ground, chromium() as browser:
                for name, go in wanted.items():
                    context = await browser.new_context(viewport={"width": 1440, "height": 900})
                    tab = Tab(await context.new_page(), ground.url)
                    await tab.page.emulate_media(reduced_motion="reduce")
                    await go(tab, ground)
                    for width in WIDTHS:
                        await tab.page.set_viewport_size({"width": width, "height": 900})
                        for theme in THEMES:
                            await tab.page.emulate_media(color_scheme=theme)
                            # Or what stays at the top would stand in the middle of the picture.
                            await tab.page.evaluate("window.scrollTo(0, 0)")
                            await tab.page.wait_for_timeout(200)
                            await tab.page.screenshot(path=FOLDER / f"{name}-{width}-{theme}.png", full_page=True)
                            progress.advance(task)
                    await context.close()
    finally:
        await postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"They are in {FOLDER.relative_to(ROOT)}.")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(take(sys.argv[1:]))
