"""Collections and segments put straight into the log, for tests of admission and the workers."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import msgspec

from db.pool import Pool
from events.append import AppendRequest, Write
from events.configurations import CustomLookback, SegmentationConfig
from events.envelope import NewEvent, new_id, stream_of
from events.types.collection import CollectionCreated, Lane, PlannedSegment
from events.types.instance import InstanceAdded
from events.writer import AppendWriter
from projections.runner import project_batch

TEAM = "local"
WORKFLOW = "workflow-of-tests"


class Seed:
    """Appends what a submission would append, and projects it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.writer = AppendWriter(pool)

    async def append(self, stream: str, data: msgspec.Struct, *, team: str = TEAM, user: UUID | None = None) -> None:
        event = NewEvent(data=data, team_id=team, user_id=user, workflow_id=WORKFLOW)
        await self.writer.append(AppendRequest((Write(stream, "any", (event,)),)))

    async def project(self) -> None:
        """Brings the read models up to date."""
        while (await project_batch(self.pool))[1]:
            pass

    async def instance(self, instance_id: str = "amcsandbox1", *, max_concurrent: int = 10) -> None:
        added = InstanceAdded(
            name="Test", advertiser_id="ENTITYSANDBOX1", marketplace_id="ATVPDKIKX0DER", time_zone="UTC",
            max_concurrent=max_concurrent,
        )  # fmt: skip
        await self.append(stream_of("instance", instance_id), added)

    async def collection(
        self,
        segments: int,
        *,
        parallel_limit: int = 10,
        lane: Lane = "bulk",
        team: str = TEAM,
        user: UUID | None = None,
        instance_id: str = "amcsandbox1",
        last: date = date(2026, 1, 31),
        sql: str = "SELECT date, SUM(value) AS value FROM numbers GROUP BY date",
        oldest_first: bool = False,
        max_attempts: int = 5,
        sql_checked: bool = True,
        stop_after_failures: int | None = None,
    ) -> UUID:
        """A collection of daily segments that ends on `last`, whose SQL AMC knows; answers its id."""
        collection_id = new_id()
        first = last - timedelta(days=segments - 1)
        days = [first + timedelta(days=number) for number in range(segments)]
        created = CollectionCreated(
            name="Test", report_id=None, instance_id=instance_id, lane=lane, sql_query=sql,
            declared_parameters=(), parameters={}, timezone="UTC", as_of=last + timedelta(days=1),
            window_start=first, window_end=last,
            lookback_config=CustomLookback(start_date=first, end_date=last),
            segmentation_config=SegmentationConfig(
                type="daily", parallel_limit=parallel_limit, max_attempts=max_attempts,
                order="oldest_first" if oldest_first else "newest_first", stop_after_failures=stop_after_failures,
            ),
            segments=tuple(PlannedSegment(new_id(), number, day, day) for number, day in enumerate(days, 1)),
            sql_checked=sql_checked,
        )  # fmt: skip
        await self.append(stream_of("collection", collection_id), created, team=team, user=user)
        return collection_id
