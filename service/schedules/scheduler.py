"""The scheduler role: decides what is due, and records it.

Any number of processes may run it. Each decides for itself; the schedule's stream version, which every append
names, lets one of them be first. A decision and the runs that it starts are one append, so a crash leaves all of
it or nothing, and whoever looks next goes on from there.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.append import AppendRequest, Conflict
from events.feed import Feed
from events.rounds import Rounds
from events.writer import AppendWriter, LogUnavailable, Overloaded
from projections.runner import wait_projected
from service.clock import Clock
from service.operations import metrics
from service.schedules.decide import Move, advance, release
from service.schedules.equip import equip
from service.schedules.read import read_schedules
from service.schedules.state import Schedule
from service.schedules.writes import moved_writes
from service.settings import Settings

log = structlog.get_logger()

UNREACHABLE = (*DATABASE_ERRORS, LogUnavailable, Overloaded)

BATCH = 100
BROKEN_PAUSE = 60.0
"""Seconds until a schedule that could not be decided is tried again."""

# By its own index each: what is due, what is over, who may stop waiting, whose hold has ended.
CALLED_FOR = """
    s.schedule_id = ANY (ARRAY(
        SELECT schedule_id FROM workflow_schedules WHERE status = 'active' AND next_run_at <= $1
        UNION
        SELECT schedule_id FROM workflow_schedules
         WHERE status = 'active' AND next_run_at IS NULL AND waiting_run_id IS NULL AND NOT held
        UNION
        SELECT schedule_id FROM workflow_schedules w
         WHERE waiting_run_id IS NOT NULL AND status = 'active'
           AND (schedule_config ->> 'overlap' = 'allow' OR NOT EXISTS (
                 SELECT FROM report_data_collections c WHERE c.schedule_id = w.schedule_id AND c.finished_at IS NULL))
        UNION
        SELECT h.schedule_id FROM workflow_schedules h
          JOIN report_data_collections b ON b.collection_id = h.backfill_collection_id
         WHERE h.held AND b.finished_at IS NOT NULL
    )) AND s.schedule_id <> ALL ($2) ORDER BY s.next_run_at LIMIT $3
"""


class Scheduler:
    """One process's scheduler, over all schedules."""

    def __init__(self, pool: Pool, feed: Feed, writer: AppendWriter, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._feed = feed
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._broken: dict[UUID, float] = {}
        self.rounds = Rounds()

    async def run(self) -> None:
        """Decides whenever a schedule or a collection has moved, or the next run is due, until it is stopped."""
        interval = self._settings.scheduler_interval
        checked = False
        while not self.rounds.stopping:
            seen = self._feed.head
            self.rounds.begin()
            try:
                # What a decision rests on is who still runs: as of the log's end, not of some time ago.
                if await wait_projected(self._pool, seen, timeout=interval):
                    if not checked:
                        await self.check_timetables()
                        checked = True
                    await self.look()
                    pause = await self._pause()
                    self.rounds.end()
                    await self._woken(seen, pause)
            except UNREACHABLE as error:
                end_if_cancelled(error)
                log.warning("scheduler_waits", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(interval)

    async def look(self) -> int:
        """One round over what is called for; answers how many schedules moved. What is recorded here wakes the
        next round, which goes on with them and with the rest."""
        found = await read_schedules(self._pool, CALLED_FOR, self._clock.now(), self._avoided(), BATCH)
        return sum(await asyncio.gather(*(self._guarded(schedule) for schedule in found)))

    async def check_timetables(self) -> None:
        """Looks at every active schedule once, as this process may have come with new rules of some zone."""
        after = UUID(int=0)
        while found := await read_schedules(
            self._pool,
            "s.status = 'active' AND NOT s.held AND s.schedule_id > $1 ORDER BY s.schedule_id LIMIT $2",
            after,
            BATCH,
        ):
            await asyncio.gather(*(self._guarded(schedule) for schedule in found))
            after = found[-1].schedule_id

    async def _guarded(self, schedule: Schedule) -> bool:
        """Decides one schedule; whether something was recorded. One that is broken stops no other."""
        try:
            now = self._clock.now()
            move = self._move(schedule, now)
            if not move.events:
                return False
            move = await equip(self._pool, schedule, move)
            await self._writer.append(AppendRequest(moved_writes(schedule, move, user_id=schedule.user_id)))
        except Conflict:
            return False  # another process was first, or a person
        except UNREACHABLE:
            raise
        except Exception:
            self._broken[schedule.schedule_id] = asyncio.get_running_loop().time() + BROKEN_PAUSE
            log.exception("schedule_broken", schedule_id=str(schedule.schedule_id))
            return False
        if schedule.next_due is not None and schedule.next_due <= now:
            metrics.schedule_decided((now - schedule.next_due).total_seconds())
        return True

    def _move(self, schedule: Schedule, now: datetime) -> Move:
        if schedule.held and schedule.backfill_ended is not None:
            return release(schedule, self._clock.at(schedule.backfill_ended))
        return advance(schedule, now)

    def _avoided(self) -> list[UUID]:
        now = asyncio.get_running_loop().time()
        self._broken = {id: until for id, until in self._broken.items() if until > now}
        return list(self._broken)

    async def _pause(self) -> float:
        """Seconds until the next run is due, at most the interval."""
        next_due = await self._pool.fetchval(
            "SELECT min(next_run_at) FROM workflow_schedules WHERE status = 'active' AND next_run_at > $1"
            " AND schedule_id <> ALL ($2)",
            self._clock.now(),
            self._avoided(),
        )
        interval = self._settings.scheduler_interval
        return interval if next_due is None else min(self._clock.seconds_until(next_due), interval)

    async def _woken(self, seen: int, pause: float) -> None:
        """Waits until a schedule or a collection moves beyond the position, for `pause` seconds at most."""
        deadline = asyncio.get_running_loop().time() + pause
        while await self._feed.wait_beyond(seen, timeout=max(deadline - asyncio.get_running_loop().time(), 0)):
            events = await self._feed.read(seen)
            if not events or any(event.stream.startswith(("schedule-", "collection-")) for event in events):
                return
            seen = events[-1].position
