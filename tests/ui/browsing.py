"""A browser, and a tab of it that nothing goes wrong in unseen."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, async_playwright, expect

# A refusal that the page shows is an error to the console, too; what it has to do with it is checked where it is shown.
EXPECTED = re.compile(r"Failed to load resource: (the server responded with a status of \d+|net::)")


# Machines are shared; what is slow is not wrong here.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


class Tab:
    """A page of the interface, with what its console says and where its requests go."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.strangers: list[str] = []
        self.clicks = 0
        self.keys = 0
        page.set_default_timeout(PATIENCE)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not EXPECTED.match(message.text):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.strangers.append(request.url)

    async def open(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def click(self, where: Locator) -> None:
        """A click, counted."""
        self.clicks += 1
        await where.click()

    async def type(self, text: str) -> None:
        """Keys, counted."""
        self.keys += len(text)
        await self.page.keyboard.type(text)

    @property
    def seconds(self) -> float:
        """What the clicks and keys take a person: a second for a click, a fifth for a key."""
        return self.clicks + self.keys / 5

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def field(self, name: str) -> Locator:
        return self.page.get_by_role("textbox", name=name)

    def search(self, name: str) -> Locator:
        return self.page.get_by_role("combobox", name=name)

    def chip(self, name: str) -> Locator:
        """The label of a choice, which a person clicks on."""
        return self.page.locator("label").filter(has_text=re.compile(f"^{re.escape(name)}(?![a-z ])"))

    async def choose(self, name: str, option: str) -> None:
        """Takes an option of a list that is searched."""
        await self.click(self.search(name))
        await self.type(option.lower())
        await self.click(self.page.get_by_role("option", name=option).first)

    async def on(self, title: str) -> None:
        """Waits for the page of this title."""
        await self.page.get_by_role("heading", level=1, name=title, exact=True).wait_for()

    async def quiet(self) -> None:
        """Waits until nothing is asked for any more."""
        await self.page.wait_for_load_state("networkidle")

    async def settled(self) -> None:
        """Waits for two frames, and what moves in them."""
        await self.page.evaluate(SETTLED)

    async def too_wide(self) -> str:
        """What makes the page scroll sideways, or stands out of its box; empty where nothing does."""
        return str(await self.page.evaluate(TOO_WIDE))

    async def clipped(self) -> str:
        """Text that its box cuts off, without a way to scroll to the rest; empty where none is."""
        return str(await self.page.evaluate(CLIPPED))


SETTLED = """async () => {
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame)
  const ending = document.getAnimations().filter((each) => Number.isFinite(each.effect?.getComputedTiming().endTime))
  await Promise.all(ending.map((each) => each.finished.catch(() => null)))
}"""

TOO_WIDE = """() => {
  const page = document.documentElement
  const width = page.clientWidth
  if (page.scrollWidth <= width) return ''
  const wide = [...document.querySelectorAll('body *')].filter((each) => each.getBoundingClientRect().right > width)
  return `${page.scrollWidth} > ${width}: ` + wide.slice(-3).map((each) => each.outerHTML.slice(0, 120)).join(' ')
}"""

CLIPPED = """() => {
  const cuts = (overflow) => overflow === 'hidden' || overflow === 'clip'
  const text = document.createRange()
  // What is for screen readers alone, or can be scrolled to.
  const excused = (node, box) => {
    for (let each = node.parentElement; each !== box; each = each.parentElement) {
      const { clipPath, overflowX, overflowY } = getComputedStyle(each)
      if (clipPath !== 'none' || [overflowX, overflowY].includes('auto')) return true
    }
    return false
  }
  const beyond = (box) => {
    const { overflowX, overflowY } = getComputedStyle(box)
    if (!cuts(overflowX) && !cuts(overflowY)) return ''
    const { left, right, top, bottom } = box.getBoundingClientRect()
    const nodes = document.createTreeWalker(box, NodeFilter.SHOW_TEXT)
    while (nodes.nextNode()) {
      const node = nodes.currentNode
      if (!node.data.trim() || !node.parentElement.checkVisibility() || excused(node, box)) continue
      text.selectNodeContents(node)
      for (const each of text.getClientRects()) {
        const cut =
          (cuts(overflowX) && (each.right > right + 1 || each.left < left - 1)) ||
          (cuts(overflowY) && (each.bottom > bottom + 1 || each.top < top - 1))
        if (cut) return `${node.data} in ${box.outerHTML.slice(0, 120)}`
      }
    }
    return ''
  }
  return [...document.querySelectorAll('body *:not(svg, svg *)')]
    .filter((each) => each.clientWidth > 1 && each.checkVisibility())
    .map(beyond).filter((each) => each !== '').slice(0, 3).join('; ')
}"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    # What is drawn is looked at by nobody but the screenshots, for which the processor does.
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield browser
        await browser.close()
