"""Backfills over HTTP, and waiting until they are as a test wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.service import SQL, Numbers, Service

DAYS = 12
AT_ONCE = 3


async def backfill(api: Service, numbers: Numbers, sql: str = SQL, **segmentation: Any) -> str:
    """A backfill of twelve days at work: its path."""
    schedule = {
        "schedule_type": "backfill",
        "backfill_config": {
            "segmentation_config": {"type": "daily", "parallel_limit": AT_ONCE, "max_attempts": 1, **segmentation},
            "lookback_config": numbers.window(DAYS),
        },
    }
    submitted = await api.submitted(schedule, window=numbers.window(DAYS), workflow=await api.workflow(sql))
    await api.read(f"/api/data-collections?min_position={submitted['position']}")
    return f"/api/data-collections/{submitted['collection_id']}"


async def until(api: Service, path: str, holds: Callable[[Any], bool], seconds: float = 60) -> Any:
    """The progress, once it is as wanted."""
    deadline = time.monotonic() + seconds
    while not holds(progress := await api.read(f"{path}/progress")):
        assert time.monotonic() < deadline, progress
        await asyncio.sleep(0.02)
    return progress


def ended(progress: Any) -> bool:
    return progress["collection"]["finished_at"] is not None


def count(progress: Any, *statuses: str) -> int:
    return sum(segment["status"] in statuses for segment in progress["segments"])


def active(progress: Any) -> int:
    return count(progress, "dispatched", "submitted", "running")
