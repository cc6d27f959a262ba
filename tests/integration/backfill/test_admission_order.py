"""Admission picks what a plain statement over everything would pick, in the same order, whatever the situation."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from events.envelope import new_id
from tests.postgres import Server

PLAINLY = Path(__file__).with_name("admit_plainly.sql")
SITUATIONS = range(40)
NOW = datetime.now(UTC)
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


class Situation:
    """Rows as the projection, admission, the workers and the calls may leave them, drawn from a seed: for each table a
    list of rows by column. Few values for each thing, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.position = 0
        self.teams = ["a", "b", "c"][: self.chance.randint(1, 3)]
        self.users = [None, self.uuid(), self.uuid()]
        self.instances = [f"amc{number}" for number in range(self.chance.randint(1, 4))]
        self.accounts = ["x", "y"]
        self.busy = self.chance.choice((0, 0.1, 0.3))
        self.limits()
        collections = [self.collection() for _ in range(self.chance.randint(1, 24))]
        seen = self.position
        for collection in collections:
            self.late(collection)
        self.rows["projection_checkpoints"] = [{"projection": "read_models", "position": seen}]
        self.turns()

    def maybe(self, share: float) -> bool:
        return self.chance.random() < share

    def uuid(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128))

    def moment(self) -> datetime:
        """Often the same, so that ties are broken."""
        return PAST + timedelta(seconds=self.chance.randint(0, 4))

    def add(self, table: str, **values: Any) -> None:
        self.rows.setdefault(table, []).append(values)

    def event(self, stream: str, version: int, kind: str, configuration: str = "{}") -> None:
        self.position += 1
        self.add(
            "report_builder_audit", position=self.position, id=self.uuid(), stream=stream, stream_version=version,
            event_type=kind, schema_version=1, team_id="a", configuration=configuration, metadata="{}",
            recorded_at=NOW,
        )  # fmt: skip

    def limits(self) -> None:
        chance = self.chance
        for number, instance_id in enumerate(self.instances):
            self.add(
                "amc_instances", instance_id=instance_id, team_id="a", name="Test", advertiser_id="E",
                marketplace_id="M", time_zone="UTC", max_concurrent=chance.choice((1, 10, 10, 30)), retention_days=425,
                stream_version=1, created_at=NOW, updated_at=NOW, account_id=chance.choice(self.accounts),
                max_executions_per_day=chance.choice((None, None, 6, 20)),
            )  # fmt: skip
            if self.maybe(0.5):
                day = NOW.date() - timedelta(days=chance.randint(0, 1))
                self.add("instance_days", instance_id=instance_id, day=day, begun=chance.randint(0, 4))
            if self.maybe(0.15):
                until = chance.choice((None, PAST, FUTURE))
                self.add("amc_breakers", instance_id=instance_id, failures=number, open_until=until, error="HTTP 500")
        for account_id in self.accounts:
            if self.maybe(0.5):
                self.add(
                    "amc_account_states", account_id=account_id, team_id="a", name="Test", status="connected",
                    status_since=NOW, stream_version=1, created_at=NOW, updated_at=NOW,
                    max_concurrent=chance.choice((None, 8, 20)),
                )  # fmt: skip
            if self.maybe(0.1):
                self.event(f"account-{account_id}", 1, chance.choice(("account.revoked", "account.connected")))
                self.event(f"account-{account_id}", 2, "account.limits_set")
        for team_id in self.teams:
            if self.maybe(0.4):
                self.add(
                    "team_limits", team_id=team_id, max_concurrent=chance.choice((None, 4, 12)),
                    max_concurrent_per_user=chance.choice((None, 3, 6)), stream_version=1, updated_at=NOW,
                )  # fmt: skip

    def collection(self) -> dict[str, Any]:
        chance = self.chance
        segments = chance.randint(1, 12)
        now = "{}"
        collection = {
            "collection_id": self.uuid(), "team_id": chance.choice(self.teams), "user_id": chance.choice(self.users),
            "workflow_id": "w1", "instance_id": chance.choice(self.instances), "name": "Test",
            "lane": "interactive" if self.maybe(0.2) else "bulk", "lookback_config": '{"type": "relative"}',
            "timezone": "UTC", "as_of": date(2026, 1, 1), "window_start": date(2025, 1, 1),
            "window_end": date(2025, 12, 31), "parallel_limit": chance.choice((1, 2, 5, 20)),
            "newest_first": self.maybe(0.5), "max_attempts": 5, "backfill_status": "in_progress",
            "segments_total": segments, "segments_failed": chance.randint(0, min(2, segments)), "stream_version": 2,
            "created_at": self.moment(), "updated_at": NOW, "content_key": "k", "sql_taken": self.maybe(0.7),
            "stop_at_failures": chance.randint(1, 8) if self.maybe(0.3) else None,
            "front_at": self.moment() if self.maybe(0.2) else None,
            "finished_at": NOW if self.maybe(0.05) else None, "paused": now if self.maybe(0.05) else None,
            "held": now if self.maybe(0.05) else None, "cancelled": now if self.maybe(0.05) else None,
        }  # fmt: skip
        self.rows.setdefault("report_data_collections", []).append(collection)
        stream = f"collection-{collection['collection_id']}"
        self.event(stream, 1, "collection.created")
        self.event(stream, 2, "collection.changed")
        for number in range(segments):
            self.segment(collection, number)
        return collection

    def segment(self, collection: dict[str, Any], number: int) -> None:
        chance = self.chance
        segment_id, day = self.uuid(), date(2025, 1, 1) + timedelta(days=number)
        leased = self.maybe(self.busy)
        # A lease of what is still pending for the read model: it has not seen the dispatch.
        status = chance.choice(("dispatched", "submitted", "pending")) if leased else "pending"
        if not leased and self.maybe(0.2):
            status = chance.choice(("waiting", "failed", "cancelled"))
        kinds = ["segment.dispatched"] if leased or status != "pending" else []
        if leased:
            kinds += chance.choice(([], [], [], ["segment.executed"], ["segment.failed"], ["segment.stalled"],
                                    ["segment.stalled", "segment.resumed"]))  # fmt: skip
            self.add(
                "segment_leases", segment_id=segment_id, collection_id=collection["collection_id"],
                team_id=collection["team_id"], user_id=collection["user_id"], workflow_id="w1",
                instance_id=collection["instance_id"], lane=collection["lane"], fence=1, step="poll",
                holds_slot=self.maybe(0.9), lease_until=FUTURE,
            )  # fmt: skip
        elif status != "pending":
            kinds.append(f"segment.{'retry_scheduled' if status == 'waiting' else status}")
        in_flight = "true" if self.maybe(0.5) else "false"
        body = (
            f'{{"collection_id": "{collection["collection_id"]}", "attempt": 1, "step": "submit",'
            f' "in_flight": {in_flight}}}'
        )
        for version, kind in enumerate(kinds, 1):
            self.event(f"segment-{segment_id}", version, kind, body)
        self.add(
            "report_data_weeks", segment_id=segment_id, collection_id=collection["collection_id"],
            segment_number=number + 1, week_start=day, week_end=day, status=status, attempts=len(kinds) and 1,
            stream_version=len(kinds) if status != "pending" else 0, updated_at=NOW,
            retry_at=chance.choice((PAST, FUTURE)) if status == "waiting" else None,
            front_at=PAST + timedelta(seconds=number) if self.maybe(0.1) else None,
            stalled="{}" if status == "pending" and self.maybe(0.05) else None,
        )  # fmt: skip

    def late(self, collection: dict[str, Any]) -> None:
        """What the read models have not seen yet."""
        if self.maybe(0.1):
            self.event(f"collection-{collection['collection_id']}", 3, "collection.paused")
        for _ in range(self.chance.choice((0, 0, 0, 1, 2))):
            body = f'{{"collection_id": "{collection["collection_id"]}"}}'
            self.event(f"segment-{self.uuid()}", 1, "segment.failed", body)

    def turns(self) -> None:
        holders = [f"team {team}" for team in self.teams]
        holders += [f"user {team} {user or ''}" for team in self.teams for user in self.users]
        holders += [f"collection {row['collection_id']}" for row in self.rows["report_data_collections"]]
        for holder in holders:
            if self.maybe(0.6):
                self.add("slot_turns", holder=holder, given_at=self.moment())


async def put(admin: asyncpg.Connection[Any], situation: Situation) -> None:
    await admin.execute("SET session_replication_role = replica")
    checkpoint = situation.rows["projection_checkpoints"][0]["position"]
    await admin.execute("UPDATE projection_checkpoints SET position = $1", checkpoint)
    for table, rows in situation.rows.items():
        if table != "projection_checkpoints":
            columns = list(rows[0])
            records = [tuple(row[column] for column in columns) for row in rows]
            await admin.copy_records_to_table(table, columns=columns, records=records)


async def picked(connection: asyncpg.Connection[Any], function: str, ticks: list[int]) -> list[Any]:
    """What these ticks, one after the other, admit, slots, turns and days counted; taken back again."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        found: list[Any] = []
        for most in ticks:
            rows = await connection.fetch(f"SELECT * FROM {function}($1, 60)", [new_id() for _ in range(most)])
            found.append([tuple(row)[:5] for row in rows])
        leases = "SELECT segment_id, fence, holds_slot, lease_until = 'infinity' FROM segment_leases ORDER BY 1"
        found.append([tuple(row) for row in await connection.fetch(leases)])
        found.append([tuple(row) for row in await connection.fetch("SELECT * FROM instance_days ORDER BY 1")])
        return found
    finally:
        await transaction.rollback()


async def test_the_same_is_picked_in_the_same_order(postgres_server: Server) -> None:
    given = 0
    for seed in SITUATIONS:
        async with postgres_server.fresh_database() as database:
            connection = await asyncpg.connect(database.admin_url)
            await connection.execute(PLAINLY.read_text())
            await put(connection, Situation(seed))
            for ticks in ([50, 50], [1] * 8, [3, 50]):
                expected = await picked(connection, "admit_plainly", ticks)
                assert await picked(connection, "admit_segments", ticks) == expected, f"situation {seed}, {ticks}"
                given += sum(len(each) for each in expected[:-2])
            await connection.close()
    assert given > 15 * len(SITUATIONS)  # over three runs of each: much was refused, and much was not
