"""Accounts over HTTP: connected when Amazon accepts them, listed without a secret, theirs who connected them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from service.amc.accounts import REGIONS, Addresses
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, running_sandbox
from service.auth.scopes import SCOPES
from tests.accounts import LOGIN, TOKEN, add_instance, connected, revoke, types_of
from tests.postgres import Database
from tests.service import Service, serving, settings_for

SECRETS = (LOGIN["client_secret"], LOGIN["refresh_token"])


async def test_an_account_that_amazon_accepts_is_connected_and_shown_without_its_secrets(service: Service) -> None:
    answer = await service.post("/api/accounts", LOGIN)
    assert answer.status == 201
    account_id, position = answer.json["account_id"], answer.json["position"]
    shown = await service.get(f"/api/accounts/{account_id}?min_position={position}")
    assert shown.headers["ETag"] == '"1"'
    account = shown.json
    assert (account["name"], account["status"], account["client_id"]) == ("Brand", "connected", LOGIN["client_id"])
    assert (account["region"], account["base_url"]) == (None, service.settings.amc_base_url)
    assert (account["held_by"], account["error"], account["version"]) == (None, None, 1)
    page = (await service.read("/api/accounts"))["items"]
    assert [each["account_id"] for each in page] == ["default", account_id]
    for body in (answer.body, shown.body):
        assert not [secret for secret in SECRETS if secret.encode() in body]


async def test_a_secret_that_does_not_fit_is_refused_and_not_repeated(service: Service) -> None:
    wrong = [5, True, {"hush-hush": 1}, ["hush-hush"], "hush hush", "hush\nhush", "hush\n", "hush\0", "hush" * 2000]
    for name in ("client_secret", "refresh_token"):
        for each in wrong:
            answer = await service.post("/api/accounts", LOGIN | {name: each})
            assert (answer.status, answer.pointers) == (422, [f"/{name}"])
            assert b"hush" not in answer.body
            assert not [secret for secret in SECRETS if secret.encode() in answer.body]


async def test_a_region_has_its_own_addresses(
    service: Service, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = Addresses(f"{sandbox.base_url}/", sandbox.token_url)
    monkeypatch.setitem(REGIONS, "EU", addresses)
    answered = await service.done("/api/accounts", LOGIN | {"region": "EU"})
    account = await service.read(f"/api/accounts/{answered['account_id']}?min_position={answered['position']}")
    assert (account["region"], account["base_url"], account["token_url"]) == (
        "EU",
        addresses.base_url,
        addresses.token_url,
    )
    assert len((await service.read(f"/api/accounts/{answered['account_id']}/instances"))["items"]) == 2


async def test_all_mistakes_are_told_at_once(service: Service) -> None:
    answer = await service.post("/api/accounts", {"name": "", "client_id": "a b", "region": "US", "token": "x"})
    assert answer.status == 422
    assert sorted(answer.pointers) == [
        "/client_id", "/client_secret", "/name", "/refresh_token", "/region", "/token",
    ]  # fmt: skip


async def test_what_amazon_refuses_is_not_connected(service: Service, sandbox: RunningSandbox) -> None:
    revoke(sandbox, TOKEN, echo_secrets=True)
    answer = await service.post("/api/accounts", LOGIN)
    assert (answer.status, answer.json["code"], answer.pointers) == (422, "invalid", ["/refresh_token"])
    assert "invalid grant" in answer.json["detail"]
    assert not [secret for secret in SECRETS if secret.encode() in answer.body]
    assert len((await service.read("/api/accounts"))["items"]) == 1
    assert await service.program.pool.fetchval("SELECT count(*) FROM amc_accounts") == 0


@pytest.mark.parametrize("faults", [Faults(error_rate=1.0), Faults(throttle_rate=1.0, retry_after=7)])
async def test_while_amazon_does_not_answer_nothing_is_connected(
    service: Service, sandbox: RunningSandbox, faults: Faults
) -> None:
    sandbox.sandbox.faults.set(faults)
    answer = await service.post("/api/accounts", LOGIN)
    assert (answer.status, answer.json["code"]) == (503, "amazon_unavailable")
    assert answer.headers["Retry-After"] == ("7" if faults.retry_after else "30")


async def test_the_same_key_connects_once(service: Service) -> None:
    answers = await asyncio.gather(*(service.post("/api/accounts", LOGIN, Idempotency_Key="k") for _ in range(4)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["account_id"] for answer in answers}) == 1
    assert (await service.post("/api/accounts", LOGIN | {"name": "B"}, Idempotency_Key="k")).status == 422


async def test_only_administrators_see_and_connect_accounts(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = await connected(service)
    service.act_as("local", tuple(SCOPES - {"admin"}))
    for method, path in (
        ("GET", "/api/accounts"), ("POST", "/api/accounts"), ("GET", f"/api/accounts/{account_id}"),
        ("GET", f"/api/accounts/{account_id}/instances"), ("POST", f"/api/accounts/{account_id}/reconnect"),
        ("POST", f"/api/accounts/{account_id}/disconnect"),
    ):  # fmt: skip
        answer = await service.send(method, path)
        assert (answer.status, answer.json["code"]) == (403, "forbidden"), path


async def test_another_teams_account_is_not_there(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = await connected(service)
    service.act_as("other")
    for method, path in (
        ("GET", f"/api/accounts/{account_id}"),
        ("GET", f"/api/accounts/{account_id}/instances"),
        ("POST", f"/api/accounts/{account_id}/reconnect"),
        ("POST", f"/api/accounts/{account_id}/disconnect"),
    ):
        assert (await service.send(method, path)).status == 404, path
    assert [each["account_id"] for each in (await service.read("/api/accounts"))["items"]] == ["default"]
    answer = await service.post("/api/instances", _instance("amc7", account_id))
    assert (answer.status, answer.pointers) == (422, ["/account_id"])


async def test_an_unknown_account_is_404(service: Service) -> None:
    for unknown in (str(uuid4()), "x", "%00", "account-default", "DEFAULT"):
        for method, path in (("GET", ""), ("GET", "/instances"), ("POST", "/reconnect"), ("POST", "/disconnect")):
            answer = await service.send(method, f"/api/accounts/{unknown}{path}")
            assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_accounts_are_listed_in_pages_the_default_first(service: Service) -> None:
    made = [await connected(service, name=f"Brand {number}") for number in range(5)]
    seen: list[str] = []
    await service.read("/api/accounts?min_position=5")
    cursor = ""
    while cursor is not None:
        page = await service.read("/api/accounts?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [each["account_id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["default", *sorted(made)]
    for wrong in ("x", "é", "AA==", ""):
        assert (await service.get(f"/api/accounts?cursor={wrong}")).status == (200 if wrong == "" else 400)


async def test_amazons_instances_are_listed_with_what_is_added_already(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"amc{number:03}" for number in range(130))  # more than a page
    async with (
        running_sandbox(SandboxOptions(instances=names)) as sandbox,
        serving(settings_for(database, tmp_path, sandbox), ("api", "projector")) as service,
    ):
        account_id = await connected(service)
        await add_instance(service, "amc001", account_id=account_id)
        added = await add_instance(service, "amc002")
        granted = await service.done("/api/instances/amc002/grants", {"team_id": "other"})
        await service.read(f"/api/instances?min_position={granted['position']}")
        for path in (f"/api/accounts/{account_id}/instances", "/api/accounts/default/instances"):
            items = (await service.read(path))["items"]
            assert [item["instance_id"] for item in items] == list(names)
            assert [item["instance_id"] for item in items if item["added"]] == ["amc001", "amc002"]
            assert all(item["usable"] == item["added"] for item in items)
        assert items[0] == {
            "instance_id": "amc000", "name": "Sandbox 1", "kind": "STANDARD", "advertiser_id": "ENTITYSANDBOX1",
            "marketplace_id": "ATVPDKIKX0DER", "added": False, "usable": False,
        }  # fmt: skip
        service.act_as("other")
        items = (await service.read("/api/accounts/default/instances"))["items"]
        assert [item["instance_id"] for item in items if item["usable"]] == ["amc002"]
        assert added["version"] == 1


async def test_amazons_refusal_and_absence_are_told_apart(service: Service, sandbox: RunningSandbox) -> None:
    account_id = await connected(service)
    path = f"/api/accounts/{account_id}/instances"
    sandbox.sandbox.faults.set(Faults(error_rate=1.0))
    answer = await service.get(path)
    assert (answer.status, answer.json["code"]) == (503, "amazon_unavailable")
    revoke(sandbox, TOKEN)
    answer = await service.get(path)
    assert (answer.status, answer.json["code"]) == (409, "account_held")
    assert f"/api/accounts/{account_id}/reconnect" in answer.json["detail"]
    assert await types_of(service.program.pool, "account", account_id) == ["connected", "revoked"]


async def test_a_reconnection_takes_what_is_new_and_keeps_the_rest(service: Service, sandbox: RunningSandbox) -> None:
    account_id = await connected(service)
    pool = service.program.pool
    first = await pool.fetchval("SELECT credential_id FROM amc_accounts")
    revoke(sandbox, TOKEN)
    path = f"/api/accounts/{account_id}/reconnect"
    assert (await service.post(path, {})).status == 422
    answered = await service.done(path, {"refresh_token": "Atzr|new"})
    assert (answered["status"], answered["version"]) == ("connected", 2)
    [row] = await pool.fetch("SELECT credential_id FROM amc_accounts")
    assert row["credential_id"] != first
    assert len((await service.read(f"/api/accounts/{account_id}/instances"))["items"]) == 2

    await service.done(path, {"client_id": "amzn1.other"})
    account = await service.read(f"/api/accounts/{account_id}?min_position={answered['position'] + 1}")
    assert account["client_id"] == "amzn1.other"
    assert await types_of(pool, "account", account_id) == ["connected", "reconnected", "reconnected"]


async def test_a_change_of_an_account_names_the_version_that_it_saw(service: Service) -> None:
    account_id = await connected(service)
    path = f"/api/accounts/{account_id}/reconnect"
    answer = await service.post(path, {}, If_Match='"7"')
    assert (answer.status, answer.json["code"], answer.json["actual_version"]) == (412, "stale", 1)
    assert (await service.post(path, {}, If_Match='"1"')).status == 200
    answers = await asyncio.gather(*(service.post(path, {}, If_Match='"2"') for _ in range(4)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 412}


async def test_the_account_of_the_settings_is_changed_there_alone(service: Service) -> None:
    for path, body in (("reconnect", {"refresh_token": "Atzr|x"}), ("disconnect", {})):
        answer = await service.post(f"/api/accounts/default/{path}", body)
        assert (answer.status, answer.json["code"]) == (400, "bad_request")
        assert "settings" in answer.json["detail"]


async def test_disconnecting_deletes_the_secrets_and_is_done_once(service: Service) -> None:
    account_id = await connected(service)
    other = await connected(service, name="Other")
    path = f"/api/accounts/{account_id}/disconnect"
    await service.done(path, {})
    rows = await service.program.pool.fetch("SELECT account_id FROM amc_accounts")
    assert [row["account_id"] for row in rows] == [other]
    answer = await service.post(path, {})
    assert (answer.status, answer.json["code"]) == (409, "account_held")
    answer = await service.post("/api/instances", _instance("amc9", account_id))
    assert (answer.status, answer.pointers) == (422, ["/account_id"])


async def test_without_a_key_secrets_are_refused_with_what_to_set(
    database: Database, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path, sandbox), secret_key="")
    async with serving(settings, ("api", "projector")) as service:
        answer = await service.post("/api/accounts", LOGIN)
        assert (answer.status, answer.json["code"]) == (409, "no_secret_key")
        assert "REPORT_BUILDER_SECRET_KEY" in answer.json["detail"]


async def test_a_process_without_the_key_says_so_and_holds_nothing(
    database: Database, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    settings = settings_for(database, tmp_path, sandbox)
    async with serving(settings, ("api", "projector")) as service:
        account_id = await connected(service)
    async with serving(msgspec.structs.replace(settings, secret_key=""), ("api", "projector")) as service:
        answer = await service.get(f"/api/accounts/{account_id}/instances")
        assert (answer.status, answer.json["code"]) == (409, "account_held")
        assert "REPORT_BUILDER_SECRET_KEY" in answer.json["detail"]
        assert await types_of(service.program.pool, "account", account_id) == ["connected"]


def _instance(instance_id: str, account_id: str) -> dict[str, str]:
    return {
        "instance_id": instance_id, "name": "I", "advertiser_id": "E", "marketplace_id": "M", "time_zone": "UTC",
        "account_id": account_id,
    }  # fmt: skip
