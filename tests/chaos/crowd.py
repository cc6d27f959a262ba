"""Many backfills of several people at once, on one instance, over processes of every role."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from service.auth.own_key import OwnKey, own_claims, own_key_file
from tests.deployment import INSTANCE_ID, Api, Deployment, write_numbers

LONG = os.environ.get("TEST_LENGTH") == "long"
SLOTS = 10
ROLES = ("api", "projector", "admission", "admission", "worker", "worker", "worker", "worker")


class Crowd:
    """A deployment, and people with backfills on it: `each` for every one of them, of `days` daily segments."""

    def __init__(
        self, folder: Path, http: aiohttp.ClientSession, *, people: int, each: int, days: int, **environment: str
    ) -> None:
        # So many processes share one server.
        self.deployment = Deployment(folder, {"REPORT_BUILDER_DATABASE_POOL_SIZE": "6", **environment})
        self.api = Api(http, self.deployment)
        self.days = days
        self._people = [f"person-{number}" for number in range(people)]
        self._each = each
        self._table = folder / "numbers.csv"
        self._first, self._last = write_numbers(self._table, days)
        self._key = OwnKey(own_key_file(folder / "data"))
        self.owners: dict[str, str] = {}
        """Collection by collection, whose it is."""

    @property
    def segments(self) -> int:
        """Of all backfills."""
        return len(self._people) * self._each * self.days

    def start_sandbox(self, *options: str) -> subprocess.Popen[bytes]:
        return self.deployment.start_sandbox(self._table, *options)

    def start(self, roles: Sequence[str] = ROLES) -> dict[str, list[subprocess.Popen[bytes]]]:
        """A process for each role that is named; by role."""
        processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        for role in roles:
            processes.setdefault(role, []).append(self.deployment.start("run", "--roles", role))
        return processes

    async def submit(self, **segmentation: Any) -> None:
        """Everybody's backfills; each has SQL of its own, so that no result stands for another's."""
        await self.api.ready(60)
        await self.send("POST", "/api/instances", self._people[0], {
            "instance_id": INSTANCE_ID, "name": "Sandbox", "advertiser_id": "ENTITYSANDBOX1",
            "marketplace_id": "ATVPDKIKX0DER", "time_zone": "UTC", "max_concurrent": SLOTS,
        })  # fmt: skip
        for number in range(self._each):
            for person in self._people:
                sql = f"SELECT date, SUM(value) AS value FROM numbers GROUP BY date -- {person} {number}"
                workflow = await self.send("POST", "/api/workflows", person, {"name": sql[-20:], "sql_query": sql})
                collection = await self.send("POST", "/api/data-collections", person, {
                    "workflow_id": workflow["workflow_id"], "instance_id": INSTANCE_ID,
                    "lookback_config": {
                        "type": "custom", "startDate": str(self._first), "endDate": str(self._last),
                    },
                    "segmentation_config": {"type": "daily", **segmentation},
                })  # fmt: skip
                self.owners[collection["collection_id"]] = person

    async def send(self, method: str, path: str, person: str, body: Any = None) -> Any:
        """What a person asks, which must succeed."""
        headers = {"Authorization": f"Bearer {self._token(person)}"}
        async with self.api.http.request(method, self.deployment.url + path, json=body, headers=headers) as response:
            assert response.status < 400, await response.text()
            return msgspec.json.decode(await response.read())

    async def command(self, method: str, path: str, person: str, body: Any = None) -> Any:
        """What a person does, once the read models show it."""
        answer = await self.send(method, path, person, body)
        await self.api.get("/api/data-collections", min_position=answer["position"])
        return answer

    async def finished(self, *, seconds: float) -> dict[str, Any]:
        """Every collection, once all have come to their end."""

        async def check() -> Any:
            found = {item["collection_id"]: item for item in await self.api.items("/api/data-collections")}
            return found if found and all(found[id]["finished_at"] for id in self.owners) else None

        found: dict[str, Any] = await self.api.until("all finished", check, seconds=seconds)
        return found

    async def completed(self, at_least: int, *, seconds: float) -> None:
        """Waits until so many segments of all are completed."""

        async def check() -> bool:
            items = await self.api.items("/api/data-collections")
            return bool(sum(item["segments_completed"] for item in items) >= at_least)

        await self.api.until(f"{at_least} segments completed", check, seconds=seconds)

    async def events(self, *types: str) -> list[Any]:
        """All events of these types, in order."""
        found: list[Any] = []
        after = 0
        while (page := await self.api.get("/api/events", after=after, limit=1000))["events"]:
            after = page["next_after"]
            found += [event for event in page["events"] if event["type"] in types]
        return found

    async def assert_exact(self) -> None:
        """Every segment of everybody completed once, with its rows; one execution for each at AMC, none that is
        nobody's; and never more at once than the instance has slots."""
        for collection_id in self.owners:
            collection = await self.api.get(f"/api/data-collections/{collection_id}")
            assert collection["backfill_status"] == "completed", collection
            rows = await self.api.get(f"/api/data-collections/{collection_id}/results", format="json")
            assert sorted(row["value"] for row in rows) == list(range(1, self.days + 1))
        completions = Counter(event["subject"] for event in await self.events("segment.completed"))
        assert (len(completions), completions.total()) == (self.segments, self.segments)
        submitted = Counter(event["data"]["execution_id"] for event in await self.events("segment.submitted"))
        assert (len(submitted), submitted.total()) == (self.segments, self.segments)
        stats = await self.api.sandbox_stats()
        assert (stats["created"], stats["duplicates"]) == (self.segments, 0), stats
        assert stats["max_concurrent_seen"]["overall"] <= SLOTS, stats

    async def shares_when_the_first_was_done(self) -> list[float]:
        """What share of their segments each person had completed when the first of them had all."""
        total = self._each * self.days
        done: Counter[str] = Counter()
        for event in await self.events("segment.completed"):
            person = self.owners[event["data"]["collection_id"]]
            done[person] += 1
            if done[person] == total:
                break
        return [done[person] / total for person in self._people]

    def _token(self, person: str) -> str:
        now = int(time.time())
        claims = own_claims(
            subject=person, teams=("local",), team_claim="team", scopes=["admin"], audience="report-builder",
            issued_at=now, expires_at=now + 3600,
        )  # fmt: skip
        return self._key.sign(claims)
