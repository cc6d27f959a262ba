"""A revoked account: its work is held and says so, that of others goes on, and a reconnection lets it go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from structlog.testing import capture_logs

from service.amc.sandbox import RunningSandbox
from tests.accounts import LOGIN, TOKEN, add_instance, connected, events_of, revoke, types_of, until
from tests.postgres import Database
from tests.service import INSTANCE_ID, Numbers, Service, serving, settings_for

DAYS = 12
OTHER = "amcsandbox2"


async def submit(service: Service, instance_id: str, numbers: Numbers, days: int = DAYS) -> str:
    """A daily backfill on the instance; answers the collection."""
    history = {"lookback_config": numbers.window(days), "segmentation_config": {"type": "daily", "reprocess": "all"}}
    schedule = {"schedule_type": "backfill", "backfill_config": history}
    path, review = await service.reviewed(schedule, instance_id=instance_id)
    submitted = await service.done(f"{path}/submit", {"digest": review["digest"]})
    collection_id = str(submitted["collection_id"])
    await service.read(f"/api/data-collections/{collection_id}?min_position={submitted['position']}")
    return collection_id


async def held(service: Service, collection_id: str, seconds: float = 20) -> Any:
    """The collection once it is held and nothing of it is under way."""

    async def look() -> Any:
        collection = await service.read(f"/api/data-collections/{collection_id}")
        return collection if collection["held_by"] and not collection["segments_active"] else None

    return await until("held", look, seconds)


async def finished(service: Service, collection_id: str) -> Any:
    async def look() -> Any:
        collection = await service.read(f"/api/data-collections/{collection_id}")
        return collection if collection["finished_at"] else None

    return await until("finished", look, seconds=30)


async def test_its_work_is_held_that_of_others_is_not_and_a_new_token_lets_it_go_on(
    service: Service, sandbox: RunningSandbox, numbers: Numbers
) -> None:
    account_id = await connected(service)
    await add_instance(service, OTHER, account_id=account_id)
    revoke(sandbox, TOKEN)
    collection_id = await submit(service, OTHER, numbers)
    others = await service.submitted(window=numbers.window(3))

    collection = await held(service, collection_id)
    hold = collection["held_by"]
    assert (hold["reason"], hold["account_id"]) == ("account_revoked", account_id)
    assert f"/api/accounts/{account_id}/reconnect" in hold["remedy"]
    assert (collection["backfill_status"], collection["segments_failed"]) == ("in_progress", 0)
    assert (await service.read(f"/api/data-collections/{collection_id}/progress"))["collection"]["held_by"] == hold
    page = await service.read("/api/data-collections")
    assert {item["collection_id"]: item["held_by"] for item in page["items"]}[collection_id] == hold
    assert (await service.read(f"/api/instances/{OTHER}"))["held_by"] == hold
    account = await service.read(f"/api/accounts/{account_id}")
    assert (account["status"], account["held_by"]) == ("reconnect", hold)
    assert "invalid grant" in account["error"]

    # The instance of another account is not concerned, and that of this one is left alone.
    assert (await service.finished(others))["backfill_status"] == "completed"
    assert (await service.read(f"/api/data-collections/{others['collection_id']}"))["held_by"] is None
    assert await types_of(service.program.pool, "account", account_id) == ["connected", "revoked"]
    for events in (await events_of(service.program.pool, collection_id)).values():
        assert [event.event_type for event in events] in ([], ["segment.dispatched", "segment.released"])

    await service.done(f"/api/accounts/{account_id}/reconnect", {"refresh_token": "Atzr|another-consent"})
    collection = await finished(service, collection_id)
    assert (collection["backfill_status"], collection["row_count"]) == ("completed", DAYS)
    assert collection["held_by"] is None
    assert (await service.read(f"/api/accounts/{account_id}"))["status"] == "connected"
    segments = (await service.read(f"/api/data-collections/{collection_id}/progress"))["segments"]
    assert {segment["attempts"] for segment in segments} == {1}
    assert sandbox.sandbox.stats.report(sandbox.sandbox.executions.values())["duplicates"] == 0


async def test_a_consent_that_ends_in_the_middle_of_a_backfill_fails_and_repeats_nothing(
    service: Service, sandbox: RunningSandbox, numbers: Numbers
) -> None:
    account_id = await connected(service)
    await add_instance(service, OTHER, account_id=account_id)
    collection_id = await submit(service, OTHER, numbers, days=40)

    async def begun() -> bool:
        return bool((await service.read(f"/api/data-collections/{collection_id}"))["segments_completed"] >= 5)

    await until("begun", begun)
    revoke(sandbox, TOKEN)

    async def noticed() -> bool:
        return bool((await service.read(f"/api/accounts/{account_id}"))["status"] == "reconnect")

    await until("noticed", noticed)
    answer = await service.get(f"/api/accounts/{account_id}/instances")
    assert (answer.status, answer.json["code"]) == (409, "account_held")
    # The user gives the same consent again: nothing but a look at Amazon is needed.
    revoke(sandbox)
    await service.done(f"/api/accounts/{account_id}/reconnect", {})
    collection = await finished(service, collection_id)
    assert (collection["backfill_status"], collection["row_count"]) == ("completed", 40)
    stats = sandbox.sandbox.stats.report(sandbox.sandbox.executions.values())
    assert (stats["created"], stats["duplicates"]) == (40, 0)
    assert await types_of(service.program.pool, "account", account_id) == ["connected", "revoked", "reconnected"]


async def test_the_work_of_a_disconnected_account_waits_until_it_is_connected_again(
    service: Service, sandbox: RunningSandbox, numbers: Numbers
) -> None:
    account_id = await connected(service)
    await add_instance(service, OTHER, account_id=account_id)
    await service.done(f"/api/accounts/{account_id}/disconnect", {})
    assert await service.program.pool.fetchval("SELECT count(*) FROM amc_accounts") == 0
    collection_id = await submit(service, OTHER, numbers)
    assert (await held(service, collection_id))["held_by"]["reason"] == "account_disconnected"
    assert not sandbox.sandbox.executions

    missing = await service.post(f"/api/accounts/{account_id}/reconnect", {"refresh_token": TOKEN})
    assert (missing.status, missing.pointers) == (422, ["/client_secret"])
    secrets = {name: LOGIN[name] for name in ("client_secret", "refresh_token")}
    await service.done(f"/api/accounts/{account_id}/reconnect", secrets)
    assert (await finished(service, collection_id))["row_count"] == DAYS


async def test_the_account_of_the_settings_goes_on_when_workers_start_with_better_ones(
    database: Database, tmp_path: Path, sandbox: RunningSandbox, numbers: Numbers
) -> None:
    settings = settings_for(database, tmp_path, sandbox)
    revoke(sandbox, settings.amc_refresh_token)
    async with serving(settings) as service:
        collection_id = await submit(service, INSTANCE_ID, numbers, days=3)
        collection = await held(service, collection_id)
        assert "REPORT_BUILDER_AMC_CLIENT_ID" in collection["held_by"]["remedy"]
        [account] = (await service.read("/api/accounts"))["items"]
        assert (account["account_id"], account["status"]) == ("default", "reconnect")
    with capture_logs() as lines:
        async with serving(settings) as service:  # as they were: nothing changes

            async def tried() -> bool:
                return "account_still_held" in {line["event"] for line in lines}

            await until("tried", tried)
            assert (await service.read("/api/accounts/default"))["status"] == "reconnect"
    async with serving(msgspec.structs.replace(settings, amc_refresh_token="Atzr|another-consent")) as service:
        assert (await finished(service, collection_id))["backfill_status"] == "completed"
        assert (await service.read("/api/accounts/default"))["status"] == "connected"
        assert await types_of(service.program.pool, "account", "default") == ["revoked", "reconnected"]


async def test_an_instance_begins_no_more_attempts_in_a_day_than_it_may(
    service: Service, sandbox: RunningSandbox, numbers: Numbers
) -> None:
    await add_instance(service, OTHER, max_executions_per_day=5)
    collection_id = await submit(service, OTHER, numbers)

    async def five_completed() -> bool:
        return bool((await service.read(f"/api/data-collections/{collection_id}"))["segments_completed"] == 5)

    await until("five completed", five_completed)
    pool = service.program.pool
    assert await pool.fetch("SELECT * FROM admit_segments(ARRAY[gen_random_uuid(), gen_random_uuid()], 60)") == []
    assert len(sandbox.sandbox.executions) == 5
    # The next day.
    await pool.execute("UPDATE instance_days SET day = day - 1")

    async def ten_completed() -> bool:
        return bool((await service.read(f"/api/data-collections/{collection_id}"))["segments_completed"] == 10)

    await until("ten completed", ten_completed)
    assert len(sandbox.sandbox.executions) == 10
    changed = await service.send("PATCH", f"/api/instances/{OTHER}", {"max_executions_per_day": 0})
    assert changed.json["max_executions_per_day"] is None
    assert (await finished(service, collection_id))["row_count"] == DAYS
