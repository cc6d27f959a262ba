"""Dead letters for operators: what came to rest is listed, sent again and discarded, each with who and why; and the
segment behind a letter rests until then, while the others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from service.amc.sandbox import RunningSandbox
from service.backfill.broker import DELIVERY_LIMIT, MemoryBroker
from service.backfill.steps import STEPS
from service.backfill.turn import Turn
from service.letters.desk import LetterDesk
from service.problems import Refused
from tests.integration.http.test_schedules_cli import typed
from tests.persons import opened
from tests.postgres import Database
from tests.rabbitmq import shared_url
from tests.service import Numbers, Service, serving, settings_for

DAYS = 6


class Poison:
    """Makes a step fail each time for one segment, the first that it meets, until it is healed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: Any) -> None:
        self.segment_id: UUID | None = None
        self.tries = 0
        self._healed = False
        self._take = STEPS[step]
        monkeypatch.setitem(STEPS, step, self)

    async def __call__(self, turn: Turn) -> None:
        if not self._healed and self.segment_id in (None, turn.segment_id):
            self.segment_id = turn.segment_id
            self.tries += 1
            raise RuntimeError("this step fails, as the test asked")
        await self._take(turn)

    def heal(self) -> None:
        self._healed = True


Poisoned = Callable[[str], Poison]


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Poisoned:
    return lambda step: Poison(monkeypatch, step)


async def backfill(service: Service, numbers: Numbers, **segmentation: Any) -> Any:
    """A backfill of some days; answers what submit did."""
    schedule = {
        "schedule_type": "backfill",
        "backfill_config": {
            "segmentation_config": {"type": "daily", **segmentation},
            "lookback_config": numbers.window(DAYS),
        },
    }
    return await service.submitted(schedule, window=numbers.window(DAYS))


async def until(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(answer := await ask()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


async def progress_of(service: Service, submitted: Any) -> Any:
    return await service.read(
        f"/api/data-collections/{submitted['collection_id']}/progress?min_position={submitted['position']}"
    )


def the_stalled(progress: Any) -> list[Any]:
    return [segment for segment in progress["segments"] if segment["stalled"]]


async def at_rest(service: Service, submitted: Any) -> Any:
    """The progress, once one segment has stalled and the others are completed."""
    return await until(
        lambda: progress_of(service, submitted),
        lambda progress: bool(the_stalled(progress)) and progress["collection"]["segments_completed"] == DAYS - 1,
    )


async def the_letter(service: Service) -> Any:
    [letter] = (await service.read("/api/dead-letters"))["items"]
    return letter


async def letter_events(service: Service, letter_id: str) -> list[RecordedEvent]:
    return await read_stream(service.program.pool, stream_of("letter", letter_id))


async def leases(service: Service) -> list[tuple[bool, bool]]:
    """Of each lease, whether it holds a slot and whether it rests."""
    rows = await service.program.pool.fetch("SELECT holds_slot, lease_until = 'infinity' FROM segment_leases")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("step", "slot", "status", "kept"),
    [
        ("submit", False, "pending", []),
        ("poll", True, "submitted", [(True, True)]),
        ("fetch", False, "running", [(False, True)]),
    ],
)
async def test_a_segment_that_fails_each_worker_rests_until_it_is_sent_again_and_the_others_go_on(
    service: Service, numbers: Numbers, poisoned: Poisoned, step: str, slot: bool, status: str, kept: list[Any]
) -> None:
    poison = poisoned(step)
    submitted = await backfill(service, numbers)
    # It is the first, which shows the others whether AMC takes the SQL: the next one does so in its place.
    progress = await at_rest(service, submitted)
    [segment] = the_stalled(progress)
    assert poison.tries == DELIVERY_LIMIT
    assert segment["segment_id"] == str(poison.segment_id)
    assert segment["status"] == status
    assert segment["stalled"] == {
        "at": segment["stalled"]["at"], "attempt": 1, "step": step, "tries": DELIVERY_LIMIT, "in_flight": slot,
    }  # fmt: skip
    assert segment["error"] == f"its workers failed or died {DELIVERY_LIMIT} times in a row at the step {step}"
    assert progress["limited_by"][0]["reason"] == "stalled"
    await until(lambda: leases(service), lambda found: found == kept)

    letter = await until(lambda: service.read("/api/dead-letters"), lambda page: bool(page["items"]))
    [letter] = letter["items"]
    assert (letter["reason"], letter["step"], letter["stalled"], letter["body"]) == ("delivery_limit", step, True, None)
    assert (letter["segment_id"], letter["collection_id"]) == (segment["segment_id"], submitted["collection_id"])
    assert letter["team_id"] == "local"

    # Time alone changes nothing: every other lease that has ended is renewed.
    await service.program.pool.execute("SELECT renew_expired_leases(ARRAY[gen_random_uuid()], 60)")
    assert poison.tries == DELIVERY_LIMIT

    poison.heal()
    answer = await service.done(f"/api/dead-letters/{letter['letter_id']}/resend", {"reason": "more memory"})
    assert answer["resumed"] is True
    collection = await service.finished(submitted)
    assert collection["backfill_status"] == "completed"
    assert sorted(row["value"] for row in await service.rows(submitted)) == list(range(1, DAYS + 1))
    assert (await service.read("/api/dead-letters"))["items"] == []

    [event] = await letter_events(service, letter["letter_id"])
    assert (event.event_type, event.team_id) == ("letter.resent", "local")
    assert event.user_id == UUID("00000000-0000-7000-8000-000000000001")
    assert await opened(service, event.data) == "more memory"
    history = await read_stream(service.program.pool, stream_of("segment", segment["segment_id"]))
    types = [each.event_type for each in history]
    assert types.count("segment.submitted") == types.count("segment.completed") == types.count("segment.resumed") == 1


async def test_a_stalled_segment_goes_on_when_its_collection_is_retried(
    service: Service, numbers: Numbers, poisoned: Poisoned
) -> None:
    poison = poisoned("fetch")
    submitted = await backfill(service, numbers)
    await at_rest(service, submitted)
    poison.heal()
    path = f"/api/data-collections/{submitted['collection_id']}"
    answer = await service.done(f"{path}/retry", {"reason": "fixed"})
    assert answer["segment_ids"] == [str(poison.segment_id)]
    assert (await service.finished(submitted))["backfill_status"] == "completed"
    # Its letter needs nothing more, and says so.
    letter = await the_letter(service)
    assert letter["stalled"] is False
    await service.done(f"/api/dead-letters/{letter['letter_id']}/discard", {})


@pytest.mark.parametrize("step", ["submit", "fetch"])
async def test_a_collection_with_a_stalled_segment_that_amc_does_not_run_can_be_cancelled(
    service: Service, numbers: Numbers, poisoned: Poisoned, step: str
) -> None:
    poisoned(step)
    submitted = await backfill(service, numbers)
    await at_rest(service, submitted)
    await service.done(f"/api/data-collections/{submitted['collection_id']}/cancel", {})
    collection = await service.finished(submitted)
    assert (collection["segments_cancelled"], collection["segments_completed"]) == (1, DAYS - 1)


async def test_a_message_that_nobody_can_read_is_listed_and_discarded_with_who_and_why(service: Service) -> None:
    broker = service.program.broker
    assert isinstance(broker, MemoryBroker)
    broker.put("bulk", b"\xffpoison" + b"!" * 5000)
    page = await until(lambda: service.read("/api/dead-letters"), lambda page: bool(page["items"]))
    [letter] = page["items"]
    assert letter["reason"] == "unreadable"
    assert letter["body"].startswith("\ufffdpoison!!")
    assert len(letter["body"]) == 1000
    assert [letter[name] for name in ("segment_id", "collection_id", "team_id", "step", "stalled")] == [None] * 5

    path = f"/api/dead-letters/{letter['letter_id']}/discard"
    answer = await service.done(path, {"reason": "not ours"}, idempotency_key="k")
    assert answer["letter_id"] == letter["letter_id"]
    assert (await service.read("/api/dead-letters"))["items"] == []
    [event] = await letter_events(service, letter["letter_id"])
    assert (event.event_type, event.team_id) == ("letter.discarded", "system")
    assert await opened(service, event.data) == "not ours"
    assert event.data.letter.body_bytes == 5007  # type: ignore[attr-defined]
    assert await service.done(path, {"reason": "not ours"}, idempotency_key="k") == answer
    gone = await service.post(path, {})
    assert (gone.status, gone.json["code"]) == (404, "not_found")
    assert len(await letter_events(service, letter["letter_id"])) == 1


@pytest.mark.parametrize("command", ["resend", "discard"])
async def test_cut_off_between_record_and_act_the_same_request_again_does_it(
    service: Service, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    broker = service.program.broker
    assert isinstance(broker, MemoryBroker)
    broker.put("bulk", b"poison")
    page = await until(lambda: service.read("/api/dead-letters"), lambda page: bool(page["items"]))
    [letter] = page["items"]

    async def away(*_: object) -> None:
        raise Refused("broker_unavailable", "as the test asked", retry_after=5)

    path = f"/api/dead-letters/{letter['letter_id']}/{command}"
    with monkeypatch.context() as patch:
        patch.setattr(LetterDesk, "delete", away)
        patch.setattr(LetterDesk, "put_back", away)
        answer = await service.post(path, {}, idempotency_key=command)
        assert (answer.status, answer.json["code"]) == (503, "broker_unavailable")
    assert [item["letter_id"] for item in (await service.read("/api/dead-letters"))["items"]] == [letter["letter_id"]]
    await service.done(path, {}, idempotency_key=command)
    left = [item["letter_id"] for item in (await service.read("/api/dead-letters"))["items"]]
    assert letter["letter_id"] not in left
    assert len(await letter_events(service, letter["letter_id"])) == 1


async def test_letters_are_listed_by_page_the_last_to_die_first(service: Service) -> None:
    broker = service.program.broker
    assert isinstance(broker, MemoryBroker)
    for number in range(5):
        broker.put("bulk", b"poison %d" % number)
        await until(broker.dead_letters, lambda letters, number=number: len(letters) == number + 1)  # type: ignore[misc]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await service.read(f"/api/dead-letters?limit=2{cursor}")
        seen += [item["body"] for item in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"poison {number}" for number in reversed(range(5))]
    bad = await service.get("/api/dead-letters?cursor=%20")
    assert (bad.status, bad.json["code"]) == (400, "bad_request")


async def test_only_an_operator_may_see_and_settle_them(service: Service) -> None:
    service.act_as("red", ["collections:write", "audit:read"])
    for method, path in (("GET", ""), ("POST", "/x/resend"), ("POST", "/x/discard")):
        answer = await service.send(method, f"/api/dead-letters{path}", {} if method == "POST" else None)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_a_process_that_cannot_reach_the_broker_says_how_it_could(api: Service) -> None:
    answer = await api.get("/api/dead-letters")
    assert (answer.status, answer.json["code"]) == (503, "broker_unavailable")
    assert "REPORT_BUILDER_AMQP_URL" in answer.json["detail"]


async def test_the_command_line_lists_them_sends_them_again_and_discards_them(
    service: Service, numbers: Numbers, poisoned: Poisoned
) -> None:
    poison = poisoned("fetch")
    submitted = await backfill(service, numbers)
    await at_rest(service, submitted)
    broker = service.program.broker
    assert isinstance(broker, MemoryBroker)
    broker.put("interactive", b"poison")
    page = await until(lambda: service.read("/api/dead-letters"), lambda page: len(page["items"]) == 2)
    unreadable, stalled = page["items"]
    poison.heal()

    async def said(*arguments: str) -> str:
        """What a command prints; the service in this process logs to the same place, before it."""
        result = await typed("dead-letters", *arguments, API_URL=str(service.http._base_url))
        assert result.exit_code == 0, result.output
        return result.output.strip()

    assert msgspec.json.decode((await said("list", "--json")).splitlines()[-1]) == page
    listed = await said("list")
    assert f"{stalled['letter_id']}  delivery limit, {stalled['died_at']}\n  step fetch of segment" in listed
    assert "its segment waits for it" in listed
    assert f"{unreadable['letter_id']}  unreadable, {unreadable['died_at']}\n  'poison'" in listed
    again = await said("resend", stalled["letter_id"], "--reason", "more memory")
    assert again.endswith(f"{stalled['letter_id']}: sent again, its segment goes on")
    gone = await said("discard", unreadable["letter_id"], "--json")
    assert msgspec.json.decode(gone.splitlines()[-1])["letter_id"] == unreadable["letter_id"]
    assert (await service.finished(submitted))["backfill_status"] == "completed"
    refused = await typed("dead-letters", "discard", "x", API_URL=str(service.http._base_url))
    assert "there is no dead letter x" in str(refused.exception)


@pytest.mark.rabbitmq
async def test_an_api_process_opens_the_broker_for_as_long_as_it_needs_it(
    database: Database, tmp_path: Path, sandbox: RunningSandbox, numbers: Numbers, poisoned: Poisoned
) -> None:
    prefix = f"letters_{database.name}"
    settings = msgspec.structs.replace(
        settings_for(database, tmp_path, sandbox), amqp_url=shared_url(), amqp_prefix=prefix
    )
    poison = poisoned("fetch")
    async with (
        serving(settings, ("admission", "worker", "projector", "api")) as service,
        serving(settings, ("api",)) as operators,
    ):
        submitted = await backfill(service, numbers)
        await at_rest(service, submitted)
        page = await until(lambda: operators.read("/api/dead-letters"), lambda page: bool(page["items"]))
        [letter] = page["items"]
        assert letter["queue"] == f"{prefix}.work.bulk"
        assert letter["died_at"] is not None
        poison.heal()
        await operators.done(f"/api/dead-letters/{letter['letter_id']}/resend", {})
        assert (await service.finished(submitted))["backfill_status"] == "completed"
        assert (await operators.read("/api/dead-letters"))["items"] == []
