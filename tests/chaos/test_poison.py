"""A segment that kills its worker each time, and messages that are none: after the limit they are dead letters, to be
seen and sent again by the command line; the rest is unharmed.

`make test` does so at the step that fetches; `make chaos` at each.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import msgspec
import pytest

from service.backfill.broker import DELIVERY_LIMIT, StepMessage
from service.backfill.broker.messages import encode
from tests.chaos.fleet import DAYS, LONG, PATIENCE, Backfill, Fleet
from tests.postgres import OwnServer
from tests.rabbitmq import RabbitNode

WORKERS = Path(__file__).with_name("dying_workers.py")
UNREADABLE = b"this is no order"
NONSENSE = StepMessage("no segment", "no collection", "nobody", "poll", 1, 1, "bulk")

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
async def fleet(rabbit: RabbitNode, server_folder: Path) -> AsyncIterator[Fleet]:
    postgres = OwnServer(server_folder / "postgres")
    await postgres.start()
    fleet = Fleet(server_folder, postgres, {"REPORT_BUILDER_AMQP_URL": rabbit.url})
    yield fleet
    fleet.deployment.stop()
    await postgres.stop()


def said(fleet: Fleet, *arguments: str) -> Any:
    """What `report-builder dead-letters … --json` prints."""
    command = [sys.executable, "-m", "service", "dead-letters", *arguments, "--json"]
    environment = fleet.deployment.environment
    finished = subprocess.run(command, env=environment, cwd=fleet.deployment.folder, capture_output=True, check=True)
    return [msgspec.json.decode(line) for line in finished.stdout.splitlines()]


async def publish(rabbit: RabbitNode, queue: str, *bodies: bytes) -> None:
    """As anyone could who may write to the queue."""
    async with await aio_pika.connect(rabbit.url) as connection:
        channel = await connection.channel()
        for body in bodies:
            await channel.default_exchange.publish(aio_pika.Message(body), queue)


async def progress_of(backfill: Backfill) -> Any:
    return await backfill.api.get(f"/api/data-collections/{backfill.collection_id}/progress")


@pytest.mark.parametrize("step", ["submit", "poll", "fetch"] if LONG else ["fetch"])
async def test_poison_comes_to_rest_among_the_dead_letters_and_the_rest_is_unharmed(
    fleet: Fleet, rabbit: RabbitNode, step: str
) -> None:
    poison = fleet.deployment.folder / "poison"
    fleet.start(worker=[str(WORKERS), str(poison)])
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        backfill = await fleet.backfill(http, f"poison at {step}", paused=True)
        planned = await backfill.api.until("shown", lambda: progress_of(backfill), seconds=PATIENCE)
        deadly = planned["segments"][DAYS // 2]["segment_id"]
        poison.write_text(f"{deadly} {step}")
        await backfill.resume()
        await publish(rabbit, f"{fleet.deployment.queues}.work.bulk", UNREADABLE, encode(NONSENSE))

        async def at_rest() -> Any:
            progress = await progress_of(backfill)
            stalled = [segment for segment in progress["segments"] if segment["stalled"]]
            return stalled if progress["collection"]["segments_completed"] == DAYS - 1 else None

        [stalled] = await backfill.api.until("at rest", at_rest, seconds=PATIENCE)
        assert (stalled["segment_id"], stalled["attempts"]) == (deadly, 0 if step == "submit" else 1)
        assert (stalled["stalled"]["step"], stalled["stalled"]["tries"]) == (step, DELIVERY_LIMIT)
        assert stalled["stalled"]["in_flight"] == (step == "poll")

        async def all_dead() -> Any:
            [page] = await asyncio.to_thread(said, fleet, "list")
            return page["items"] if len(page["items"]) >= 3 else None

        letters = await backfill.api.until("dead letters", all_dead, seconds=PATIENCE)
        by_segment = {letter["segment_id"]: letter for letter in letters}
        assert by_segment.keys() == {deadly, NONSENSE.segment_id, None}, letters
        assert by_segment[None]["body"] == UNREADABLE.decode()
        assert (by_segment[deadly]["stalled"], by_segment[deadly]["step"]) == (True, step)

        poison.unlink()
        [sent] = await asyncio.to_thread(said, fleet, "resend", by_segment[deadly]["letter_id"], "--reason", "healed")
        assert sent["resumed"] is True
        others = [by_segment[segment_id]["letter_id"] for segment_id in (None, NONSENSE.segment_id)]
        await asyncio.to_thread(said, fleet, "discard", *others)
        await backfill.ends_exact()
        assert (await backfill.api.get("/api/dead-letters"))["items"] == []
        attempts = {segment["attempts"] for segment in (await progress_of(backfill))["segments"]}
        assert attempts == {1}
