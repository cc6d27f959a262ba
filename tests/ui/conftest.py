"""The interface in a real browser, against the real service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.postgres import Server
from tests.ui.browsing import Tab, chromium
from tests.ui.ground import Ground, standing


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """The service, once for all whose tests do not mind what the others have made."""
    async with standing(postgres_server, tmp_path_factory.mktemp("data")) as ground:
        yield ground


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser, ground: Ground) -> AsyncIterator[Tab]:
    """A tab of its own session. At its end its console must be clean, and nothing may have left the service."""
    context = await browser.new_context(
        viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin", reduced_motion="reduce"
    )
    tab = Tab(await context.new_page(), ground.url)
    yield tab
    await context.close()
    assert tab.faults == []
    assert tab.strangers == []
