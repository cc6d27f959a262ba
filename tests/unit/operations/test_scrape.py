"""A scrape waits for nobody long, and tells nothing that is out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import Metric

from service.operations import scrape as module
from service.operations.scrape import Scrape, gauge
from tests.metrics import Scraped


class Part:
    """Something that is asked for a number, and may be slow or broken."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.broken = False

    async def look(self) -> Sequence[Metric]:
        self.asked += 1
        number = self.asked
        await self.answers.wait()
        if self.broken:
            raise OSError("gone")
        return (gauge("part", "A part.", (), [((), number)]),)


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)


async def scraped(scrape: Scrape) -> Scraped:
    return Scraped((await scrape.encoded(""))[0].decode())


async def test_what_is_fresh_is_not_asked_for_again() -> None:
    scrape, part = Scrape(), Part()
    scrape.add_reading("part", part.look)
    for _ in range(3):
        assert (await scraped(scrape)).value("report_builder_part") == 1
    assert part.asked == 1


async def test_many_scrapes_at_once_ask_once() -> None:
    scrape, part = Scrape(), Part()
    scrape.add_reading("part", part.look)
    answers = await asyncio.gather(*(scraped(scrape) for _ in range(5)))
    assert {answer.value("report_builder_part") for answer in answers} == {1}
    assert part.asked == 1


@pytest.mark.usefixtures("moments")
async def test_one_that_hangs_holds_nothing_up_and_the_last_answer_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    scrape, slow, quick = Scrape(), Part(), Part()
    scrape.add_reading("slow", slow.look)
    assert (await scraped(scrape)).value("report_builder_reading_up", part="slow") == 1
    slow.answers.clear()
    scrape.add_reading("quick", quick.look)
    answer = await scraped(scrape)
    assert answer.value("report_builder_reading_up", part="slow") == 0
    assert answer.value("report_builder_reading_up", part="quick") == 1
    assert "report_builder_part 1.0" in answer.text
    slow.answers.set()
    assert (await scraped(scrape)).value("report_builder_reading_up", part="slow") == 1


@pytest.mark.usefixtures("moments")
async def test_an_answer_of_long_ago_says_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    scrape, part = Scrape(), Part()
    scrape.add_reading("part", part.look)
    await scraped(scrape)
    part.answers.clear()
    monkeypatch.setattr(module, "STALE", 0.0)
    assert "report_builder_part" not in (await scraped(scrape)).families


async def test_one_that_fails_is_told_and_asked_again() -> None:
    scrape, part = Scrape(), Part()
    scrape.add_reading("part", part.look)
    part.broken = True
    assert (await scraped(scrape)).value("report_builder_reading_up", part="part") == 0
    part.broken = False
    assert (await scraped(scrape)).value("report_builder_reading_up", part="part") == 1
