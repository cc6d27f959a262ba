"""Schedules put straight into the log, a clock that stands where a test sets it, and what was recorded of runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from db.pool import Pool
from events.append import AppendRequest, Write
from events.configurations import LookbackConfig, ScheduleConfig
from events.envelope import NewEvent, new_id, stream_of
from events.feed import Feed
from events.reader import read_head, read_stream
from events.types.collection import CollectionFinished
from events.types.schedule import Run, RunMissed, RunSkipped, RunStarted, RunWaiting
from events.types.workflow import WorkflowCreated
from events.validation import decode
from events.writer import AppendWriter
from service.clock import Clock
from service.data_collections.plan import plan_collection
from service.schedules.plan import plan_schedule
from service.schedules.read import read_schedules
from service.schedules.scheduler import Scheduler
from service.schedules.state import Schedule
from service.schedules.writes import created_writes
from service.settings import Settings
from tests.backfill import TEAM, WORKFLOW, Seed

USER = UUID("00000000-0000-7000-8000-000000000001")
NEW_YORK = "America/New_York"
SQL = WorkflowCreated("Values", "SELECT date, SUM(value) AS value FROM numbers GROUP BY date")
SEVEN_DAYS = decode(LookbackConfig, {"type": "relative", "value": 7, "unit": "days"})


def utc(text: str) -> datetime:
    """An instant, written without its offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class StoppedClock(Clock):
    """Shows what it is set to."""

    def __init__(self, shown: str) -> None:
        self.shown = utc(shown)

    def now(self) -> datetime:
        return self.shown

    def set(self, shown: str) -> None:
        self.shown = utc(shown)


class Schedules(Seed):
    """A team's schedules, without the rest of the service around them."""

    def __init__(self, pool: Pool, clock: StoppedClock) -> None:
        super().__init__(pool)
        self.clock = clock
        self.scheduler = self.another()

    def another(self, writer: AppendWriter | None = None, pool: Pool | None = None) -> Scheduler:
        """One more scheduler, as if in a process of its own."""
        return Scheduler(pool or self.pool, Feed(self.pool), writer or self.writer, self.clock, Settings())

    async def create(
        self,
        *,
        time: str = "09:00",
        frequency: str = "daily",
        report_zone: str = NEW_YORK,
        lookback: LookbackConfig = SEVEN_DAYS,
        backfill: UUID | None = None,
        hold: bool = False,
        instance_id: str = "amcsandbox1",
        name: str = "Every day",
        **config: Any,
    ) -> UUID:
        """A schedule that counts from the clock's now; answers its id."""
        schedule_id = new_id()
        await self.append_schedule(
            schedule_id, time=time, frequency=frequency, report_zone=report_zone, lookback=lookback,
            backfill=backfill, hold=hold, instance_id=instance_id, name=name, **config,
        )  # fmt: skip
        await self.project()
        return schedule_id

    async def append_schedule(
        self, schedule_id: UUID, *, time: str, frequency: str, report_zone: str, lookback: LookbackConfig,
        backfill: UUID | None, hold: bool, instance_id: str, name: str, **config: Any,
    ) -> None:  # fmt: skip
        created = plan_schedule(
            schedule_id=schedule_id,
            name=name,
            report_id=None,
            instance_id=instance_id,
            workflow=SQL,
            parameters={},
            timezone=report_zone,
            lookback=lookback,
            schedule=decode(ScheduleConfig, {"frequency": frequency, "time": time, **config}),
            segmentation=None,
            counts_from=self.clock.now(),
            backfill_collection_id=backfill,
            hold=hold,
        )
        writes: tuple[Write, ...] = ()
        if backfill is not None:
            history = plan_collection(
                name=name, report_id=None, instance_id=instance_id, lane="bulk", workflow=SQL, parameters={},
                timezone=report_zone, as_of=self.clock.today(report_zone), lookback=lookback, segmentation=None,
                backfill_of_schedule=schedule_id,
            )  # fmt: skip
            event = NewEvent(data=history, team_id=TEAM, user_id=USER, workflow_id=WORKFLOW)
            writes = (Write(stream_of("collection", backfill), "none", (event,)),)
        writes += created_writes(schedule_id, created, team_id=TEAM, user_id=USER, workflow_id=WORKFLOW)
        await self.writer.append(AppendRequest(writes))

    async def at(self, shown: str) -> None:
        """The clock shows this, and the scheduler does all that is called for then."""
        self.clock.set(shown)
        await self.settle()

    async def settle(self) -> None:
        await self.project()
        while await self.scheduler.look():
            await self.project()

    async def read(self, schedule_id: UUID) -> Schedule:
        """The schedule as the read models have it."""
        (found,) = await read_schedules(self.pool, "s.schedule_id = $1", schedule_id)
        return found

    async def events(self, schedule_id: UUID) -> list[Any]:
        """What was recorded of the schedule, oldest first."""
        return [event.data for event in await read_stream(self.pool, stream_of("schedule", schedule_id))]

    async def runs(self, schedule_id: UUID) -> list[str]:
        """Each event of a run in short: `03-09 09:00 on_time`."""
        return [_in_short(data) for data in await self.events(schedule_id) if isinstance(data, Run)]

    async def started(self, schedule_id: UUID) -> list[RunStarted]:
        return [data for data in await self.events(schedule_id) if isinstance(data, RunStarted)]

    async def finish(self, collection_id: UUID, status: Any = "completed") -> None:
        """The collection comes to its end."""
        await self.append(stream_of("collection", collection_id), CollectionFinished(status, 1, 1, 0, 0))
        await self.project()

    async def head(self) -> int:
        return await read_head(self.pool)


def _in_short(run: Run) -> str:
    match run:
        case RunStarted():
            what: str = run.cause
        case RunWaiting():
            what = "waiting"
        case RunMissed():
            what = f"missed: {run.reason}"
        case RunSkipped():
            what = f"skipped: {run.reason}"
        case _:
            raise AssertionError(msgspec.structs.asdict(run))
    return f"{run.nominal:%m-%d %H:%M} {what}"
