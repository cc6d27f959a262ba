"""Legal holds: what is held is not erased, also where both are asked for at the same moment; and who may do so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.api_client import ApiRefused
from tests.integration.http.test_schedules_cli import typed
from tests.persons import act_as_person, user_id_of
from tests.postgres import Database
from tests.service import UNKNOWN_ID, Service, serving, settings_for

ROUNDS = 8


@pytest.fixture
async def api(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    settings = msgspec.structs.replace(settings_for(database, tmp_path), auth_own_keys=True)
    async with serving(settings, ("api", "projector")) as service:
        yield service


async def person(api: Service, name: str) -> str:
    """Somebody whom the service has seen; the administrator goes on."""
    act_as_person(api, name, "events:read")
    user_id = await user_id_of(api)
    act_as_person(api, "admin")
    return user_id


async def history(api: Service, user_id: str) -> list[str]:
    query = f"stream=person-{user_id}&order=oldest&all_teams=true"
    items = (await api.read(f"/api/audit/activity?{query}"))["items"]
    assert {item["team_id"] for item in items} <= {"system"}
    return [item["event_type"] for item in items]


async def test_a_hold_stops_an_erasure_until_it_is_lifted(api: Service) -> None:
    user_id = await person(api, "ann")
    path = f"/api/persons/{user_id}"
    assert (await api.post(f"{path}/place-hold", {})).pointers == ["/reason"]
    held = await api.done(f"{path}/place-hold", {"reason": "the case of the summer"})
    assert (await api.read(path))["hold"]["reason"] == "the case of the summer"
    assert (await api.post(f"{path}/place-hold", {"reason": "twice"})).json["code"] == "hold_state"
    refused = await api.post(f"{path}/erase", {"reason": "she asked for it"})
    assert (refused.status, refused.json["code"]) == (409, "legal_hold")
    assert (await api.read(path))["email"] == "ann@canary.example"
    assert (await api.post(f"{path}/lift-hold", {}, If_Match='"7"')).status == 412
    lifted = await api.done(f"{path}/lift-hold", {"reason": "it is over"}, If_Match=f'"{held["version"]}"')
    assert (await api.post(f"{path}/lift-hold", {})).json["code"] == "hold_state"
    assert (await api.done(f"{path}/erase", {}))["version"] == lifted["version"] + 1
    shown = await api.read(path)
    assert (shown["hold"], shown["subject"], shown["erased_at"] is None) == (None, None, False)
    assert (await api.post(f"{path}/place-hold", {"reason": "too late"})).status == 404
    assert await history(api, user_id) == ["person.hold_placed", "person.hold_lifted", "person.erased"]


async def test_of_a_hold_and_an_erasure_at_once_one_happens(api: Service) -> None:
    for number in range(ROUNDS):
        user_id = await person(api, f"person{number}")
        path = f"/api/persons/{user_id}"
        hold, erase = await asyncio.gather(
            api.post(f"{path}/place-hold", {"reason": "now"}), api.post(f"{path}/erase", {"reason": "now"})
        )
        shown = await api.read(path)
        if hold.status == 200:
            assert (erase.status, erase.json["code"]) == (409, "legal_hold")
            assert (shown["name"], await history(api, user_id)) == (f"Person{number} Canary", ["person.hold_placed"])
        else:
            assert (hold.status, erase.status) == (404, 200), (hold.body, erase.body)
            assert (shown["name"], await history(api, user_id)) == (None, ["person.erased"])


async def test_persons_are_for_administrators(api: Service) -> None:
    user_id = await person(api, "ann")
    assert (await api.post(f"/api/persons/{UNKNOWN_ID}/erase", {})).status == 404
    assert (await api.get(f"/api/persons?cursor={user_id}")).status == 400
    page = await api.read("/api/persons?limit=1")
    following = await api.read(f"/api/persons?limit=200&cursor={page['next_cursor']}")
    found = [item["user_id"] for item in page["items"] + following["items"]]
    assert user_id in found
    assert found == sorted(set(found))
    act_as_person(api, "ann", "audit:read", "events:read", "collections:write")
    for method, path in (("GET", ""), ("GET", f"/{user_id}"), ("POST", f"/{user_id}/erase")):
        assert (await api.send(method, f"/api/persons{path}", {} if method == "POST" else None)).status == 403


async def test_sessions_and_tokens_of_an_erased_person_are_nobodys(api: Service) -> None:
    ann = await person(api, "ann")
    act_as_person(api, "ann", "schedules:write")
    token = api.authorization
    assert await user_id_of(api) == ann
    act_as_person(api, "admin")
    await api.done(f"/api/persons/{ann}/erase", {})
    # The token that was known by its hash leads to another person as soon as the erasure is heard of.
    api.authorization = token
    async with asyncio.timeout(20):
        while (somebody := await user_id_of(api)) == ann:
            await asyncio.sleep(0.01)
    assert somebody != ann


async def test_the_command_line_finds_holds_and_erases_a_person_and_again_after_a_restore(api: Service) -> None:
    ann, bob = await person(api, "ann"), await person(api, "bob")
    assert api.authorization is not None
    settings = {"API_URL": str(api.http._base_url), "API_TOKEN": api.authorization.removeprefix("Bearer ")}

    async def said(*arguments: str) -> Any:
        result = await typed("persons", *arguments, **settings)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    assert (await said("list", "--search", "ann@")).split()[0] == ann
    assert "nothing of them is erased" in await said("hold", ann, "--reason", "a case")
    refused = await typed("persons", "erase", ann, "--yes", **settings)
    assert isinstance(refused.exception, ApiRefused)
    assert "legal_hold" in str(refused.exception)
    await said("release", ann)
    assert "cannot be undone" in (await typed("persons", "erase", ann, **settings)).output
    assert "backups of the database" in await said("erase", ann, "--reason", "she asked for it", "--yes")
    listed = await said("erasures")
    assert msgspec.json.decode(listed)["user_id"] == ann
    assert msgspec.json.decode(await said("show", ann))["name"] is None

    # As in a database that was restored from before the erasures, where Bob is still there.
    lost = listed + listed.replace(ann, bob) + listed.replace(ann, UNKNOWN_ID)
    file = Path(api.settings.data_dir) / "erasures.jsonl"
    file.write_text(lost)
    again = await said("erase-again", str(file))
    assert f"{bob}: erased" in again
    assert f"{UNKNOWN_ID}: there is no person" in again
    assert (await api.read(f"/api/persons/{bob}"))["name"] is None
    assert [msgspec.json.decode(line)["user_id"] for line in (await said("erasures")).splitlines()] == [ann, bob]
