"""Logs that were forged without the log's key, around heads that the log has signed, or that nobody has."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.envelope import RecordedEvent
from events.tree.heads import TreeHead
from events.tree.notes import Note, SigningKey
from events.types.log import EpochBegun
from report_builder_verify.__main__ import main
from report_builder_verify.checks import Standing, standing_of
from report_builder_verify.notes import read_head
from tests.bundles import NAME, Parts, SampleLog, epoch_begun, key_rotated, lone_events, sample_events, signed
from tests.unit.verifier.conftest import Judge

EVIL = SigningKey.generate(NAME)


@pytest.fixture
def genuine(key: SigningKey) -> SampleLog:
    return SampleLog(list(sample_events(700)), (100, 400, 700), key)


def of_epoch_2(genuine: SampleLog) -> SampleLog:
    """Everything is forged, and of a later epoch than the one head that the log has signed."""
    begun = epoch_begun(1, 1, EpochBegun(2, 0, None, None, genuine.head_of(700)))
    log = SampleLog([begun, *lone_events(2, 700, workflow_id="forged")], (700,), EVIL, epoch_of=lambda position: 2)
    log.heads = [genuine.head_of(700)]
    return log


def test_a_genuine_head_of_an_earlier_epoch_proves_nothing_of_forged_events(genuine: SampleLog, judged: Judge) -> None:
    for kept in ((), (genuine.head_of(700),)):
        code, found = judged(of_epoch_2(genuine), *kept)
        assert (code, found["first"], found["last"], found["head"]) == (1, 1, 700, {}), found


def test_a_head_that_nobody_has_signed_proves_nothing(genuine: SampleLog, judged: Judge) -> None:
    log = of_epoch_2(genuine)
    text = TreeHead(NAME, 700, bytes(32)).text
    log.heads = [str(Note(text, (SigningKey.generate("nobody").sign(text),)))]
    code, found = judged(log)
    assert (code, found["first"], found["last"]) == (1, 1, 700)
    assert "not signed by a key that you named" in found["reason"]


def test_an_epoch_that_the_leaves_alone_name_proves_nothing_of_a_part(
    genuine: SampleLog, tmp_path: Path, judged: Judge
) -> None:
    log = SampleLog(list(lone_events(1, 700, workflow_id="forged")), (700,), EVIL, epoch_of=lambda position: 2)
    log.heads = [genuine.head_of(700)]
    part = log.part(Parts.of(log.bundle(tmp_path / "whole.zip")), 300, 700)
    code, found = judged(part, arguments=("--from", "300"))
    assert (code, found["first"], found["last"], found["head"]) == (1, 1, 700, {}), found


def test_what_is_incomplete_claims_no_head_that_was_not_verified(
    genuine: SampleLog, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Parts.of(genuine.bundle(tmp_path / "whole.zip"))
    by_nobody = SigningKey.generate("nobody")
    altered = genuine.head_of(700).replace("\n700\n", "\n701\n")
    for newest, code, said in (
        (
            genuine.head_of(700),
            3,
            "INCOMPLETE: the tile tile/0/001 is not there, which ties the events to the tree head\n",
        ),
        (signed(genuine.head_of(700), by_nobody), 3, "the newest one, is not signed by a key that you named\n"),
        (altered, 1, "does not hold\n"),
    ):
        part = genuine.part(whole, 1, 300)
        del part["tile/0/001"]
        part.heads = [*part.heads[:-1], newest]
        file = part.write(tmp_path / "part.zip")
        assert main([str(file), "--key", key.verifier.text, "--to", "300"]) == code
        words = capsys.readouterr().out
        assert words.endswith(said), words
        assert "nothing is wrong" not in words
        assert "has signed it" not in words


def planted(key: SigningKey) -> list[RecordedEvent]:
    """A key of the forger's, to which the log seems to change and from which it seems to change back."""
    return [
        *lone_events(1, 300),
        key_rotated(301, 1, EVIL, key),
        key_rotated(302, 2, key, EVIL),
        *lone_events(303, 400),
    ]


def test_a_key_that_was_planted_is_not_followed(key: SigningKey, judged: Judge) -> None:
    events = planted(key)
    real = SampleLog([*events, *lone_events(401, 700)], (200, 400, 700), key)
    assert judged(real)[0] == 0
    forged = SampleLog([*events, *lone_events(401, 700, workflow_id="forged")], (200, 400, 700), EVIL)
    forged.heads = [real.head_of(200), real.head_of(400), forged.head_of(700)]
    code, found = judged(forged)
    assert (code, found["first"], found["last"], found["keys_followed"]) == (1, 401, 700, []), found


def test_a_key_that_was_planted_in_front_of_a_true_change_is_not_followed(key: SigningKey, judged: Judge) -> None:
    new = SigningKey.generate(NAME)

    def log(*rest: RecordedEvent) -> SampleLog:
        before = [*lone_events(1, 300), key_rotated(301, 1, EVIL, key), key_rotated(302, 2, new, key)]
        return SampleLog([*before, *lone_events(303, 400), *rest], (200, 400, 700), key)

    real = log(*lone_events(401, 700))
    both = signed(real.head_of(400), key, new)
    real.heads = [real.head_of(200), both, signed(real.head_of(700), new)]
    code, found = judged(real)
    assert (code, [each["key"] for each in found["keys_followed"]]) == (0, [new.verifier.text])
    forged = log(*lone_events(401, 700, workflow_id="forged"))
    forged.heads = [forged.head_of(200), both, signed(forged.head_of(700), EVIL)]
    code, found = judged(forged)
    assert (code, found["first"], found["last"]) == (1, 401, 700)


def test_a_key_that_another_stream_names_is_not_followed(key: SigningKey, judged: Judge) -> None:
    """The signer looks into the one stream for keys: what another says it signs unseen."""
    planted = key_rotated(301, 1, EVIL, key, stream="log-others")
    log = SampleLog([*lone_events(1, 300), planted, *lone_events(302, 700)], (200, 400, 700), key)
    code, found = judged(log)
    assert (code, found["keys_followed"]) == (0, [])
    log.heads[-1] = signed(log.heads[-1], EVIL)
    code, found = judged(log)
    assert (code, found["first"], found["last"]) == (1, 401, 700)


def test_keys_that_change_again_and_again_are_followed(key: SigningKey, judged: Judge) -> None:
    keys = [key, *(SigningKey.generate(NAME) for _ in range(3))]
    events = list(lone_events(1, 500))
    for number in (1, 2, 3):
        events[100 * number] = key_rotated(100 * number + 1, number, keys[number], keys[number - 1])
    log = SampleLog(events, (100, 150, 250, 260, 350, 500), key)
    signers = ((0,), (0, 1), (1, 2), (2,), (2, 3), (3,))
    log.heads = [signed(note, *(keys[at] for at in by)) for note, by in zip(log.heads, signers, strict=True)]
    code, found = judged(log)
    assert (code, found["heads_checked"]) == (0, 6), found
    assert [each["position"] for each in found["keys_followed"]] == [101, 201, 301]


def test_an_epoch_that_another_stream_names_explains_nothing(
    genuine: SampleLog, key: SigningKey, judged: Judge
) -> None:
    said = epoch_begun(300, 1, EpochBegun(2, 0, None, None, genuine.head_of(700)), stream="log-others")
    events = [*lone_events(1, 299), said, *lone_events(301, 700)]
    assert judged(SampleLog(events, (700,), key))[1]["epochs"] == []
    code, found = judged(SampleLog(events, (700,), key, epoch_of=lambda at: 1 if at < 300 else 2))
    assert (code, found["first"]) == (1, 300)


ONE, OTHER = bytes(32), bytes([1] * 32)
STANDINGS = [
    (NAME, (1, 1), ONE, Standing.HOLDS),
    (NAME, (1, 1), OTHER, Standing.DISPUTED),
    (NAME, (2, 2), ONE, Standing.OVERTAKEN),
    (NAME, (2, 3), OTHER, Standing.OVERTAKEN),
    (f"{NAME}/epoch-2", (1, 1), ONE, Standing.FOREIGN),
    (f"{NAME}/epoch-2", (1, 2), ONE, Standing.HOLDS),
    (f"{NAME}/epoch-2", (0, 3), OTHER, Standing.DISPUTED),
    (f"{NAME}/epoch-1", (1, 1), ONE, Standing.FOREIGN),
    ("another", (1, 1), ONE, Standing.FOREIGN),
    ("another", (2, 2), ONE, Standing.FOREIGN),
]


@pytest.mark.parametrize(("origin", "epochs", "root", "standing"), STANDINGS)
def test_what_a_head_is_to_the_log_follows_from_its_name_epoch_and_root(
    origin: str, epochs: tuple[int, int], root: bytes, standing: Standing
) -> None:
    text = TreeHead(origin, 7, bytes(32)).text
    head = read_head(str(Note(text, (EVIL.sign(text),))))
    assert standing_of(head, NAME, epochs, root) is standing
