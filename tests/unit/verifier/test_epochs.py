"""A log that was restored to an earlier state: its verifier accepts what went on from there, and names the break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.envelope import RecordedEvent
from events.tree.notes import SigningKey
from events.types.log import EpochBegun
from report_builder_verify.__main__ import main
from tests.bundles import NAME, Parts, SampleLog, lone_events, sample_event, sample_events, size_of
from tests.bundles import epoch_begun as about_epoch

KEY = SigningKey.generate(NAME)
# The log before the restore. Its first 600 events came back, and the 590 first of them as they were signed.
BEFORE = SampleLog(list(sample_events(700)), (100, 400, 580, 595, 640, 700), KEY)
BREAK = 601


def epoch_begun(**changed: Any) -> RecordedEvent:
    body = EpochBegun(2, 580, BEFORE.head_of(580), BEFORE.events[579].recorded_at, BEFORE.head_of(700))
    return sample_event(
        BREAK,
        stream="log-epochs",
        stream_version=1,
        event_type="log.epoch_begun",
        configuration=msgspec.json.encode(msgspec.structs.replace(body, **changed)).decode(),
    )


def restored(*, begun: RecordedEvent | None = None, altered: int = 591, epoch: int = 2) -> SampleLog:
    """The log as it goes on: with another event at `altered`, and heads that were signed before and after."""
    events = [
        *(sample_event(at, **({"workflow_id": "lost"} if at == altered else {})) for at in range(1, BREAK)),
        begun or epoch_begun(),
        *(sample_event(at, stream="segment-new", stream_version=at - BREAK) for at in range(BREAK + 1, 660)),
    ]
    log = SampleLog(events, (100, 601, 659), KEY, epoch_of=lambda position: 1 if position < BREAK else epoch)
    log.heads = sorted([*log.heads, *map(BEFORE.head_of, (400, 580, 595))], key=size_of)
    return log


@pytest.fixture
def verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Verifies a log with heads that were kept; answers the exit code and the verified."""

    def verify(log: SampleLog, *kept: str, parts: Parts | None = None) -> tuple[int, Any]:
        file = log.bundle(tmp_path / "log.zip") if parts is None else parts.write(tmp_path / "log.zip")
        (tmp_path / "kept").write_text("\n".join(kept))
        heads = ["--head", str(tmp_path / "kept")] if kept else []
        code = main([str(file), "--key", KEY.verifier.text, "--json", *heads])
        return code, json.loads(capsys.readouterr().out)

    return verify


def test_a_restored_log_is_sound_and_the_break_is_named(verified: Any) -> None:
    code, found = verified(restored())
    assert (code, found["reason"]) == (0, "")
    assert found["epochs"] == [{"epoch": 2, "position": BREAK, "proven_size": 580}]


def test_heads_from_before_the_restore_still_count_up_to_where_it_is_proven(verified: Any) -> None:
    code, found = verified(restored(), BEFORE.head_of(100), BEFORE.head_of(580))
    assert (code, found["kept_heads_checked"]) == (0, 2)
    code, found = verified(restored(altered=500))
    assert (code, found["first"], found["last"]) == (1, 401, 580), found["reason"]


def test_the_head_that_the_restore_names_is_accepted_and_another_is_not(verified: Any) -> None:
    code, found = verified(restored(), BEFORE.head_of(700))
    assert (code, found["kept_heads_checked"]) == (0, 1)
    # One in between is of events that are gone.
    code, found = verified(restored(), BEFORE.head_of(640))
    assert (code, found["first"]) == (3, BREAK)
    later = SampleLog(list(sample_events(720)), (720,), KEY)
    code, found = verified(restored(), later.head_of(720))
    assert (code, found["first"]) == (1, BREAK)
    forked = SampleLog([*sample_events(699), sample_event(700, workflow_id="x")], (700,), KEY)
    code, found = verified(restored(), forked.head_of(700))
    assert (code, found["first"]) == (1, BREAK)


def test_a_head_of_the_new_epoch_that_is_larger_than_the_log_finds_it_taken_back(verified: Any) -> None:
    code, found = verified(BEFORE, restored().head_of(659))
    assert (code, found["outcome"]) == (1, "tampered")
    cut = restored()
    shorter = SampleLog(cut.events[:640], (100, 601, 640), KEY, epoch_of=lambda position: 1 if position < BREAK else 2)
    code, found = verified(shorter, cut.head_of(659))
    assert (code, found["first"], found["last"]) == (1, 641, 659)


@pytest.mark.parametrize(
    "begun",
    [
        sample_event(BREAK, stream="log-epochs", stream_version=1),
        epoch_begun(epoch=3),
        epoch_begun(last_head="no head"),
    ],
    ids=["no event", "another epoch", "no head"],
)
def test_an_epoch_that_no_event_begins_is_found(begun: RecordedEvent, verified: Any) -> None:
    code, found = verified(restored(begun=begun))
    assert (code, found["first"], found["last"]) == (1, BREAK, BREAK), found["reason"]


def test_events_do_not_go_back_to_an_earlier_epoch(verified: Any) -> None:
    log = restored()
    back = SampleLog(log.events, (100, 601, 659), KEY, epoch_of=lambda at: 1 if at < BREAK or 620 <= at < 630 else 2)
    code, found = verified(back)
    assert (code, found["first"], found["last"]) == (1, 620, 620)


def test_what_the_restore_says_is_missed_where_its_body_is_not_there(tmp_path: Path, verified: Any) -> None:
    log = restored()
    parts = Parts.of(log.bundle(tmp_path / "whole.zip"))
    events = parts.events
    events[BREAK - 1][1] = b"null"
    parts.events = events
    code, found = verified(log, BEFORE.head_of(700), parts=parts)
    assert (code, found["bodies_not_there"]) == (3, 1)


def begun(at: int, version: int, epoch: int, proven: str, last: str) -> RecordedEvent:
    return about_epoch(at, version, EpochBegun(epoch, size_of(proven), proven, None, last))


def of_epochs(*begins: int) -> Callable[[int], int]:
    return lambda position: 1 + sum(position >= each for each in begins)


# A first restore to 580, and heads of the second epoch up to 650.
SECOND = SampleLog(
    [*sample_events(580), begun(581, 1, 2, BEFORE.head_of(580), BEFORE.head_of(700)), *lone_events(582, 650)],
    (581, 600, 650),
    KEY,
    epoch_of=of_epochs(581),
)


def test_a_head_of_before_a_restore_that_another_took_back_cannot_be_checked(verified: Any) -> None:
    """Of the first restore nothing is left: the second one names a head of the second epoch."""
    again = begun(401, 1, 3, BEFORE.head_of(400), SECOND.head_of(650))
    log = SampleLog(
        [*sample_events(400), again, *lone_events(402, 500)], (401, 500), KEY, epoch_of=lambda at: 1 if at < 401 else 3
    )
    log.heads = sorted([*log.heads, BEFORE.head_of(100), BEFORE.head_of(400)], key=size_of)
    for kept, code in (
        (BEFORE.head_of(700), 3),
        (BEFORE.head_of(580), 3),
        (SECOND.head_of(581), 3),
        (SECOND.head_of(650), 0),
        (BEFORE.head_of(400), 0),
    ):
        judged, found = verified(log, kept)
        assert (judged, found["first"]) == (code, 401 if code else None), found
    # And one that the last restore should have named, of the second epoch or a later one.
    later = SampleLog([*SECOND.events, *lone_events(651, 660)], (660,), KEY, epoch_of=of_epochs(581))
    assert verified(log, later.head_of(660))[:1] == (1,)


def test_two_restores_are_both_accepted_and_named(verified: Any) -> None:
    again = begun(601, 2, 3, SECOND.head_of(600), SECOND.head_of(650))
    log = SampleLog(
        [*SECOND.events[:600], again, *lone_events(602, 640)], (601, 640), KEY, epoch_of=of_epochs(581, 601)
    )
    log.heads = sorted([*log.heads, *map(BEFORE.head_of, (400, 580)), *map(SECOND.head_of, (581, 600))], key=size_of)
    for kept, code in (
        (BEFORE.head_of(580), 0),
        (BEFORE.head_of(595), 3),
        (BEFORE.head_of(640), 3),
        (BEFORE.head_of(700), 0),
        (SECOND.head_of(581), 0),
        (SECOND.head_of(650), 0),
    ):
        judged, found = verified(log, kept)
        assert (judged, found["kept_heads_checked"]) == (code, 1 - code // 3), found
        assert [each["epoch"] for each in found["epochs"]] == [2, 3]


def test_a_part_says_nothing_of_heads_that_a_restore_outside_of_it_may_explain(tmp_path: Path, verified: Any) -> None:
    log = restored()
    whole = Parts.of(log.bundle(tmp_path / "whole.zip"))
    for first, last, kept in ((590, 598, ()), (641, 659, (BEFORE.head_of(640),))):
        code, found = verified(log, *kept, parts=log.part(whole, first, last))
        assert (code, "what the restore says is not there" in found["reason"]) == (3, True), found


def test_a_restore_that_proves_more_than_the_log_had_is_none(verified: Any) -> None:
    code, found = verified(restored(begun=epoch_begun(proven_size=601)))
    assert (code, found["first"], found["last"]) == (1, BREAK, BREAK)
