"""A log of any length whose events can be applied: whole undertakings of many teams, side by side.

Each undertaking is the same story: a workflow and an instance, a report that is submitted, its backfill of 13
segments, some of which fail, stall or are split, a schedule with runs, what people did to all of them, and a rebuild's
own event. Its events are written once, with ids that end alike; the database copies them with other ends, so that a
million take seconds.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from events.codec import encode
from events.configurations import (
    BackfillConfig,
    BackfillWithScheduleStep,
    CustomLookback,
    DailySchedule,
    RelativeLookback,
    SegmentationConfig,
)
from events.envelope import Step, stream_of
from events.registry import event_type_of
from events.types import account, collection, instance, letter, log, report, schedule, segment, team, workflow
from tests.postgres import Database

SIDE_BY_SIDE = 32
"""So many undertakings are always under way."""

START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_A_POSITION = 2.592

END = "-5e55-4000-8000-000000000000"
"""How every id of the story ends, and the place where the copies differ."""

FIRST_DAY = date(2025, 9, 1)
WEEK = RelativeLookback(value=7, unit="days")
HISTORY = CustomLookback(start_date=FIRST_DAY, end_date=FIRST_DAY + timedelta(days=90))
WEEKLY = SegmentationConfig(type="weekly", parallel_limit=4, stop_after_failures=3)
NIGHTLY = DailySchedule(time="02:30", timezone="America/New_York")
SQL = "SELECT campaign, SUM(impressions) AS impressions FROM display_impressions GROUP BY 1"
DECLARED = (workflow.DeclaredParameter("brand"), workflow.DeclaredParameter("asins", workflow.ArrayType()))
VALUES: dict[str, Any] = {"brand": "Ours", "asins": ["B000000001", "B000000002"]}


class Told(msgspec.Struct, frozen=True):
    """An event of the story. `team` is the end of the team's name: each undertaking has one of its own."""

    stream: str
    data: msgspec.Struct
    step: Step | None = None
    workflow: bool = True


def an_id(number: int) -> UUID:
    """The id of one thing of the story."""
    return UUID(f"{number:08x}{END}")


def story() -> list[Told]:
    """The events of one undertaking, in order."""
    return list(_Story().tell())


class _Story:
    def __init__(self) -> None:
        self.workflow_id, self.report, self.backfill, self.schedule = (str(an_id(1)), an_id(2), an_id(3), an_id(4))
        self.instance_id, self.account_id = f"amc{END}", str(an_id(5))

    def tell(self) -> list[Told]:
        return [*self.ground(), *self.building(), *self.backfilling(), *self.scheduling(), *self.ending()]

    def ground(self) -> list[Told]:
        """What a report is built on."""
        stream, connected = stream_of("account", self.account_id), an_id(6)
        instances, workflows = stream_of("instance", self.instance_id), stream_of("workflow", self.workflow_id)
        return [
            Told(stream, account.AccountConnected(
                name="Brand", region="NA", base_url="https://a", token_url="https://b", client_id="c",
                credential_id=connected)),
            Told(stream, account.AccountLimitsSet(max_concurrent=8, requests_per_second=2.5, burst=4)),
            Told(stream, account.AccountRevoked("refused", "invalid_grant")),
            Told(stream, account.AccountReconnected(client_id="c", credential_id=connected)),
            Told(instances, instance.InstanceAdded("Brand", "ENTITY1", "ATVPDKIKX0DER", "America/New_York",
                                                   account_id=self.account_id)),
            Told(instances, instance.InstanceChanged(name="Brand US", max_concurrent=8, retention_days=425,
                                                     final_after_days=14, max_executions_per_day=500)),
            Told(instances, instance.InstanceGranted("partners")),
            Told(instances, instance.InstanceGrantRevoked("partners")),
            Told(workflows, workflow.WorkflowCreated("Reach", SQL, DECLARED)),
            Told(workflows, workflow.WorkflowChanged("Reach, by campaign", SQL, DECLARED)),
            Told(stream_of("team", f"t{END}"), team.TeamLimitsSet(max_concurrent=20, max_concurrent_per_user=10)),
        ]  # fmt: skip

    def building(self) -> list[Told]:
        """The four steps, and what they set to work."""
        stream = stream_of("report", self.report)
        step = BackfillWithScheduleStep(
            schedule_config=NIGHTLY,
            backfill_config=BackfillConfig(lookback_config=HISTORY, segmentation_config=WEEKLY),
        )
        parameters = report.ParametersSet(self.instance_id, self.workflow_id, VALUES, WEEK, "America/New_York")
        last = HISTORY.end_date
        return [
            Told(stream, report.ReportCreated("Reach")),
            Told(stream, parameters, "parameters"),
            Told(stream, parameters, "parameters"),
            Told(stream, report.ScheduleSet(step), "schedule"),
            Told(stream, report.Reviewed("d1", date(2026, 1, 1), FIRST_DAY, last, 13, ("many_executions",)), "review"),
            Told(stream, report.CheckStarted("c0", "e0")),
            Told(stream, report.SqlChecked("c0", "taken", None)),
            Told(stream, report.Submitted("d1", self.backfill, self.schedule), "submit"),
            Told(stream_of("team", f"t{END}"), team.BackfillStarted(self.backfill)),
            Told(stream_of("team", f"t{END}"), team.ScheduleActivated(self.schedule, "f1")),
            Told(stream_of("collection", self.backfill), self.created(
                "Reach, history", [self.planned(number) for number in range(1, 14)], backfill=True)),
            Told(stream_of("schedule", self.schedule), schedule.ScheduleCreated(
                **self.configured(), report_id=self.report, backfill_collection_id=self.backfill, hold=True,
                counts_from=START, next_due=None)),
        ]  # fmt: skip

    def backfilling(self) -> list[Told]:
        """13 segments: one stalls, one fails and is split, one fails and is retried, one was waiting; the others
        complete."""
        backfill, stream = self.backfill, stream_of("collection", self.backfill)
        told: list[Told] = []
        for number in range(1, 14):
            told += self.run(backfill, an_id(0x100 + number), extra=number)
            if number == 4:
                told.append(Told(stream, collection.CollectionPaused("too much")))
                told.append(
                    Told(
                        stream,
                        collection.CollectionChanged(
                            parallel_limit=6, max_attempts=4, order="oldest_first", stop_after_failures=5, reason=None
                        ),
                    )
                )
                told.append(Told(stream, collection.MovedToFront(an_id(0x10D), "the newest week")))
                told.append(Told(stream, collection.CollectionResumed(None)))
            if number == 6:
                told.append(
                    Told(stream, collection.CollectionHeld("too_many_failures", an_id(0x106), "no such column"))
                )
                told.append(Told(stream, collection.CollectionResumed("mended")))
                told.append(Told(stream, collection.CollectionRetried((an_id(0x106),), "again")))
                told.append(Told(stream_of("segment", an_id(0x106)), segment.Retried(backfill, 1)))
                told += self.run(backfill, an_id(0x106), attempt=2)
            if number == 8:
                halves = (self.planned(14, 50, 52), self.planned(15, 53, 55))
                told.append(Told(stream, collection.SegmentSplit(an_id(0x108), halves, "smaller")))
                told.append(Told(stream_of("segment", an_id(0x108)), segment.Split(backfill)))
                told += self.run(backfill, an_id(0x10E)) + self.run(backfill, an_id(0x10F))
        told.append(Told(stream, collection.CollectionFinished("completed", 15, 14, 0, 14 * 700)))
        told.append(Told(stream_of("team", f"t{END}"), team.BackfillEnded(backfill)))
        return told

    def scheduling(self) -> list[Told]:
        """Runs that start, wait, are missed and skipped; a pause, a change."""
        stream, day = stream_of("schedule", self.schedule), timedelta(days=1)
        run: dict[str, Any]
        moved: dict[str, Any]
        told = [Told(stream, schedule.Released(handled=START, next_due=START + day,
                                               backfill_collection_id=self.backfill))]  # fmt: skip
        for number in range(1, 4):
            due = START + number * day
            run = {"run_id": an_id(0x200 + number), "nominal": due.replace(tzinfo=None), "instant": due}
            moved = {"handled": due, "next_due": due + day}
            planned, collection_id = self.planned(1, 0, 6, id=0x310 + number), an_id(0x300 + number)
            if number == 2:
                told.append(Told(stream, schedule.RunWaiting(**run, **moved, as_of=due.date())))
            told.append(Told(stream_of("collection", collection_id), self.created("Reach, nightly", [planned])))
            told.append(
                Told(
                    stream,
                    schedule.RunStarted(
                        **run,
                        **moved,
                        as_of=due.date(),
                        cause="waited" if number == 2 else "on_time",
                        collection_id=collection_id,
                    ),
                )
            )
            told += self.run(collection_id, planned.segment_id)
            told.append(
                Told(stream_of("collection", collection_id), collection.CollectionFinished("completed", 1, 1, 0, 700))
            )
        run = {"nominal": (START + 4 * day).replace(tzinfo=None), "instant": START + 4 * day}
        moved = {"handled": START + 4 * day, "next_due": START + 5 * day}
        missed = schedule.RunMissed(run_id=an_id(0x210), **run, **moved, reason="superseded")
        skipped = schedule.RunSkipped(run_id=an_id(0x211), **run, **moved, reason="overlap")
        stopped: dict[str, Any] = {"handled": START + 4 * day, "next_due": None}
        changed = schedule.Changed(**(self.configured() | {"name": "Reach, later"}), **moved, reason="calmer")
        return [
            *told,
            Told(stream, missed),
            Told(stream, skipped),
            Told(stream, schedule.Paused(**stopped, reason="holidays")),
            Told(stream, schedule.Resumed(**moved, reason=None)),
            Told(stream, changed),
            Told(stream, schedule.Rescheduled(**moved)),
        ]

    def ending(self) -> list[Told]:
        """A newer result of the first week; and the end."""
        dead = letter.Letter(queue="report_builder.work.bulk", reason="rejected", died_at=START, body_sha256="00",
                             body_bytes=2, segment_id=an_id(0x103))  # fmt: skip
        again, planned = an_id(0x320), self.planned(1, 0, 6, id=0x321)
        newer = msgspec.structs.replace(planned, supersedes=an_id(0x101))
        stream = stream_of("collection", again)
        stopped = an_id(0x322)
        left = self.planned(1, 0, 6, id=0x323)
        return [
            Told(stream_of("letter", an_id(0x400)), letter.LetterDiscarded(dead, "old")),
            Told(stream, self.created("Reach, again", [newer])),
            *self.run(again, newer.segment_id),
            Told(stream_of("segment", an_id(0x101)), segment.Superseded(newer.segment_id, again)),
            Told(stream, collection.CollectionFinished("completed", 1, 1, 0, 700)),
            Told(stream_of("collection", stopped), self.created("Reach, stopped", [left])),
            Told(stream_of("collection", stopped), collection.CollectionCancelled("not needed")),
            Told(stream_of("segment", left.segment_id), segment.Cancelled(stopped, 0)),
            Told(stream_of("collection", stopped), collection.CollectionFinished("failed", 1, 0, 0, 0)),
            Told(stream_of("schedule", self.schedule),
                 schedule.Ended(handled=START, next_due=None, cause="person", reason="done")),
            Told(stream_of("team", f"t{END}"), team.ScheduleDeactivated(self.schedule)),
            Told(stream_of("workflow", self.workflow_id), workflow.WorkflowArchived()),
            Told(stream_of("log", f"projections{END}"), log.ProjectionRebuilt("read_models", 1, 0, 0, 0),
                 workflow=False),
        ]  # fmt: skip

    def run(self, collection_id: UUID, id: UUID, *, attempt: int = 1, extra: int = 0) -> list[Told]:
        """One segment's way through AMC; `extra` chooses what happens to it."""
        stream = stream_of("segment", id)
        execution = f"e-{attempt}-{id}"
        nulls = {"campaign": 3} if extra % 2 else None
        columns = (segment.ResultColumn("campaign", "STRING"), segment.ResultColumn("impressions", "LONG"))
        begun = [
            segment.Dispatched(collection_id, attempt, "submit", "admitted"),
            segment.SubmissionStarted(collection_id, attempt, "w" + "0" * 40, "2025-09-01T00:00:00",
                                      "2025-09-08T00:00:00", "America/New_York", VALUES),
            segment.Submitted(collection_id, execution, False),
            segment.Started(collection_id, execution),
        ]  # fmt: skip
        done = [
            segment.Executed(collection_id, execution, columns),
            segment.Completed(collection_id, execution, 700, 70_000, "c0ffee" * 10, nulls),
        ]
        retry = segment.RetryScheduled(collection_id, attempt, "transient", "503 Service Unavailable", START)
        match extra:
            case 3:
                between = [segment.Stalled(collection_id, 1, "poll", 10, True, "it died"),
                           segment.Resumed(collection_id, 1, "poll"),
                           segment.Dispatched(collection_id, 1, "poll", "lease_expired")]  # fmt: skip
                return [Told(stream, data) for data in (*begun, *between, *done)]
            case 6 | 8:
                failed = segment.Failed(collection_id, 1, "permanent", "no such column")
                return [Told(stream, data) for data in (*begun, failed)]
            case 10:
                again = segment.Dispatched(collection_id, 2, "submit", "admitted")
                return [Told(stream, data) for data in (*begun, retry, again, *begun[1:], *done)]
            case 11:
                released = segment.Released(collection_id, 1, "account_held")
                return [Told(stream, data) for data in (begun[0], released, *begun, *done)]
        return [Told(stream, data) for data in (*begun, *done)]

    def planned(self, number: int, first: int | None = None, last: int | None = None, *, id: int | None = None) -> Any:
        """A week of the window, or the days of it that are named, counted from 0."""
        first, last = (7 * (number - 1), 7 * number - 1) if first is None or last is None else (first, last)
        return collection.PlannedSegment(
            an_id(0x100 + number if id is None else id),
            number,
            FIRST_DAY + timedelta(days=first),
            FIRST_DAY + timedelta(days=last),
        )

    def created(
        self, name: str, planned: list[collection.PlannedSegment], *, backfill: bool = False
    ) -> collection.CollectionCreated:
        return collection.CollectionCreated(
            name=name, report_id=self.report, instance_id=self.instance_id, lane="bulk" if backfill else "interactive",
            sql_query=SQL, declared_parameters=DECLARED, parameters=VALUES, timezone="America/New_York",
            as_of=date(2026, 1, 1), window_start=planned[0].start, window_end=planned[-1].end,
            lookback_config=HISTORY if backfill else WEEK, segmentation_config=WEEKLY if backfill else None,
            segments=tuple(planned), schedule_id=None if backfill else self.schedule,
            backfill_of_schedule=self.schedule if backfill else None, content_key="c0" * 32, sql_checked=backfill,
        )  # fmt: skip

    def configured(self) -> dict[str, Any]:
        return {
            "name": "Reach", "instance_id": self.instance_id, "sql_query": SQL, "declared_parameters": DECLARED,
            "parameters": VALUES, "timezone": "America/New_York", "lookback_config": WEEK,
            "schedule_config": NIGHTLY, "segmentation_config": None,
        }  # fmt: skip


FILL = f"""
INSERT INTO report_builder_audit
SELECT n, md5('e' || n)::uuid, replace(t.stream, '{END}', own), t.stream_version, t.event_type, t.schema_version,
       't-' || r % 20, md5('u' || r % 20 || r % 7)::uuid,
       CASE WHEN t.has_workflow THEN '00000001' || own END, t.step_completed,
       replace(t.configuration, '{END}', own)::json, json_build_object('correlation_id', '00000002' || own),
       timestamptz '{START.isoformat()}' + n * interval '{SECONDS_A_POSITION} s'
  FROM (SELECT n, (n - 1) / ($1::int * {SIDE_BY_SIDE}) * {SIDE_BY_SIDE} + n % {SIDE_BY_SIDE} AS r,
               (n - 1) / {SIDE_BY_SIDE} % $1::int AS k
          FROM generate_series(1, $2::int) n) e
 CROSS JOIN LATERAL (SELECT '-5e55-4000-8000-' || lpad(to_hex(r), 12, '0') AS own) o
  JOIN told t USING (k)
 ORDER BY n
"""


async def fill_history(database: Database, events: int) -> None:
    """Writes so many events into the empty log, and nothing else: the read models are still to be made."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(
            "CREATE TEMPORARY TABLE told (k int, stream text, stream_version int, event_type text,"
            " schema_version int, has_workflow boolean, step_completed text, configuration text)"
        )
        await admin.copy_records_to_table("told", records=_records())
        # Triggers stay out of it: they refuse no INSERT, but are looked up for each.
        await admin.execute("SET session_replication_role = replica")
        length: int = await admin.fetchval("SELECT count(*) FROM told")
        await admin.execute(FILL, length, events)
        await admin.execute("ANALYZE report_builder_audit")
    finally:
        await admin.close()


def _records() -> list[tuple[Any, ...]]:
    versions: dict[str, int] = {}
    records = []
    for number, told in enumerate(story()):
        versions[told.stream] = versions.get(told.stream, 0) + 1
        kind = event_type_of(told.data)
        records.append(
            (number, told.stream, versions[told.stream], kind.name, kind.version, told.workflow, told.step,
             encode(told.data))
        )  # fmt: skip
    return records
