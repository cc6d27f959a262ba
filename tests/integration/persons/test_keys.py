"""Keys of persons: one for each, made once, gone with the erasure for everybody at once, and encrypted from outside."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from db.pool import Pool
from events.append import AppendRequest, Conflict, IdempotencyKey, Write
from events.envelope import NewEvent, new_id, stream_of
from events.personal import Unsealed, is_token, read_token
from events.reader import read_head, read_stream
from events.types.collection import CollectionPaused
from events.types.person import Erased
from events.types.report import ReportCreated
from events.types.workflow import DeclaredParameter
from events.writer import AppendWriter
from service.amc.keys import NoSecretKey, SecretKeys
from service.amc.vault import Vault
from service.auth.caller import LOCAL
from service.auth.users import Users
from service.persons.erasing import Erasing
from service.persons.keys import PersonKeys, PersonUnknown
from service.persons.texts import ErasedValues, PersonalTexts
from service.settings import Settings
from tests.integration.amc.test_amc_vault import NEW, OLD, keys
from tests.postgres import Database
from tests.recording import note

WHO = DeclaredParameter("who", personal=True)


@pytest.fixture
def secret_keys() -> SecretKeys:
    return keys(OLD)


@pytest.fixture
def texts(pool: Pool, secret_keys: SecretKeys) -> PersonalTexts:
    return PersonalTexts(pool, secret_keys)


@pytest.fixture
async def ann(pool: Pool) -> UUID:
    return await Users(pool).find("issuer", "ann", "Ann", "ann@example.com")


def paused(user_id: UUID, reason: str | None = "in her words") -> AppendRequest:
    event = NewEvent(data=CollectionPaused(reason), team_id="t", user_id=user_id)
    return AppendRequest((Write(stream_of("collection", new_id()), "any", (event,)),))


def erased(user_id: UUID, by: UUID, version: int = 0, key: IdempotencyKey | None = None) -> AppendRequest:
    event = NewEvent(data=Erased(None), team_id="system", user_id=by)
    return AppendRequest((Write(stream_of("person", user_id), version or "none", (event,)),), key)


async def test_of_many_processes_that_make_a_key_at_once_one_does(pool: Pool, ann: UUID) -> None:
    made = await asyncio.gather(*(PersonKeys(pool, keys(OLD)).current(ann) for _ in range(12)))
    assert len({(each.key.key_id, each.key.key) for each in made}) == 1
    assert {each.version for each in made} == {0}


async def test_what_was_sealed_before_an_erasure_is_not_recorded_after_it(
    pool: Pool, texts: PersonalTexts, ann: UUID
) -> None:
    writer, erasing = AppendWriter(pool), Erasing(pool, lambda position: None)
    sealed = await texts.seal(paused(ann))
    late = await texts.seal(paused(ann))
    await writer.append(sealed)
    await erasing.erase(ann, erased(ann, LOCAL.user_id))
    with pytest.raises(Conflict) as conflict:
        await writer.append(late)
    assert conflict.value.actual[f"person-{ann}"] == 1
    with pytest.raises(PersonUnknown):
        await texts.seal(paused(ann))
    (event,) = await read_stream(pool, sealed.writes[0].stream)
    text = msgspec.to_builtins(event.data)["reason"]
    assert read_token(text).user_id == ann
    assert await texts.open_answer(f'{{"reason":"{text}"}}'.encode()) == b'{"reason":"(erased)"}'


async def test_values_that_were_sealed_for_a_step_are_not_recorded_after_an_erasure_either(
    pool: Pool, texts: PersonalTexts
) -> None:
    """The local person is erased and goes on, with another key."""
    me, event_id = LOCAL.user_id, new_id()
    values = await texts.seal_values([WHO], {"who": "x", "n": 5}, me, event_id)
    assert (is_token(values["who"]), values["n"]) == (True, 5)
    assert await texts.open_values(values) == {"who": "x", "n": 5}
    assert await texts.open_values({"n": 5}) == {"n": 5}
    await Erasing(pool, lambda position: None).erase(me, erased(me, me))
    assert await pool.fetchval("SELECT name FROM users WHERE user_id = $1", me) is None
    with pytest.raises(ErasedValues, match="the values of who were erased"):
        await texts.open_values(values)
    again = await texts.seal_values([WHO], {"who": "x"}, me, event_id)
    assert read_token(str(again["who"])).mark != read_token(str(values["who"])).mark
    assert await texts.open_values(again) == {"who": "x"}


async def test_an_erasure_that_cannot_be_recorded_deletes_nothing(pool: Pool, texts: PersonalTexts, ann: UUID) -> None:
    await texts.seal(paused(ann))
    head = await read_head(pool)
    with pytest.raises(Conflict):
        await Erasing(pool, lambda position: None).erase(ann, erased(ann, ann, version=3))
    assert await pool.fetchval("SELECT count(*) FROM person_keys WHERE user_id = $1", ann) == 1
    assert await Users(pool).describe(ann) == ("Ann", "ann@example.com")
    assert await read_head(pool) == head


async def test_what_was_answered_to_an_erased_person_is_kept_no_more_and_not_done_again(pool: Pool, ann: UUID) -> None:
    writer = AppendWriter(pool)
    hers = IdempotencyKey(f"t\n{ann}\nPOST\n/x\nk", b"d" * 32, answer='{"text":"hers"}')
    others = IdempotencyKey(f"t\n{LOCAL.user_id}\nPOST\n/x\n{ann}", b"d" * 32, answer='{"text":"his"}')
    for key in (hers, others):
        await writer.append(AppendRequest((Write(stream_of("log", new_id()), "any", (note(),)),), key))
    erasure = IdempotencyKey(f"t\n{LOCAL.user_id}\nPOST\n/erase\n1", b"e" * 32, answer='{"text":"erased"}')
    request, told = erased(ann, LOCAL.user_id, key=erasure), list[int]()
    first = await Erasing(pool, told.append).erase(ann, request)
    again = await Erasing(pool, told.append).erase(ann, request)
    assert (again.duplicate, again.answer, told) == (True, '{"text":"erased"}', [first.last_position] * 2)
    kept = {row["key"]: row for row in await pool.fetch("SELECT * FROM idempotency_keys")}
    assert (kept[hers.key]["answer"], kept[hers.key]["digest"] == hers.digest) == ("{}", False)
    assert (kept[others.key]["answer"], kept[others.key]["digest"]) == ('{"text":"his"}', others.digest)


async def test_the_keys_of_persons_are_encrypted_again_with_the_newest_key_from_outside(pool: Pool, ann: UUID) -> None:
    sealed = await PersonalTexts(pool, keys(OLD)).seal_values([WHO], {"who": "x"}, ann, new_id())
    with pytest.raises(NoSecretKey):
        await PersonalTexts(pool, keys(NEW)).open_values(sealed)
    answer = f'{{"who":"{sealed["who"]}"}}'.encode()
    assert await PersonalTexts(pool, keys(NEW)).open_answer(answer) == answer  # for the operator to put right
    assert await Vault(pool, keys(NEW, OLD)).rotate() == 1
    assert await PersonalTexts(pool, keys(NEW)).open_values(sealed) == {"who": "x"}
    assert await Vault(pool, keys(NEW)).rotate() == 0


async def test_without_a_key_from_outside_nothing_personal_is_recorded(
    database: Database, pool: Pool, ann: UUID
) -> None:
    texts = PersonalTexts(pool, SecretKeys(Settings(database_url=database.service_url)))
    without_reason = paused(ann, None)
    assert await texts.seal(without_reason) is without_reason
    with pytest.raises(NoSecretKey, match="REPORT_BUILDER_SECRET_KEY"):
        await texts.seal(paused(ann))
    with pytest.raises(Unsealed, match="CollectionPaused/reason is personal text that is not sealed"):
        await AppendWriter(pool).append(paused(ann))


async def test_a_request_without_personal_text_is_left_as_it_is_and_costs_no_look(ann: UUID) -> None:
    nowhere: Any = None
    texts = PersonalTexts(nowhere, keys(OLD))
    event = NewEvent(data=ReportCreated("a report"), team_id="t", user_id=ann)
    request = AppendRequest((Write("report-1", "any", (event,)),))
    assert await texts.seal(request) is request
