"""What the verifier says of a bundle whose files somebody has altered: where, why, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from events.tree.merkle import leaf_hash
from events.tree.notes import COSIGNATURE, Note, SigningKey
from report_builder_verify.__main__ import main
from tests.bundles import NAME, Parts, SampleLog, key_rotated, lone_events, sample_event, sample_events, signed

EVENTS = 700
HEADS = (0, 1, 100, 256, 300, 301, 512, 690, EVENTS)
KEY = SigningKey.generate(NAME)
LOG = SampleLog(list(sample_events(EVENTS)), HEADS, KEY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return LOG.bundle(tmp_path_factory.mktemp("bundle") / "whole.zip")


@pytest.fixture
def parts(whole: Path) -> Parts:
    return Parts.of(whole)


@pytest.fixture
def verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Verifies the parts as a file; answers the exit code and the verified."""

    def verify(parts: Parts, *arguments: str, key: SigningKey = KEY) -> tuple[int, Any]:
        file = parts.write(tmp_path / "bundle.zip")
        code = main([str(file), "--key", key.verifier.text, "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return verify


def altered(position: int, part: int, old: bytes, new: bytes) -> Callable[[Parts], None]:
    """Alters a line of an event: 0 its leaf, 1 its configuration, 2 its metadata."""

    def alter(parts: Parts) -> None:
        events = parts.events
        line = events[position - 1][part]
        assert old in line
        events[position - 1][part] = line.replace(old, new, 1)
        parts.events = events

    return alter


def events_changed(change: Callable[[list[list[bytes]]], object]) -> Callable[[Parts], None]:
    def alter(parts: Parts) -> None:
        events = parts.events
        change(events)
        parts.events = events

    return alter


def swap(events: list[list[bytes]]) -> None:
    events[309], events[609] = events[609], events[309]


def swap_contents(events: list[list[bytes]]) -> None:
    """Two events change places, and their positions and versions with them."""
    for here, there in ((309, 609), (609, 309)):
        leaf = msgspec.json.decode(LOG.leaves[there])
        of_place = msgspec.json.decode(LOG.leaves[here])
        for name in ("position", "stream", "stream_version", "recorded_at"):
            leaf[name] = of_place[name]
        events[here] = [msgspec.json.encode(leaf), *LOG.bundle_lines(there)[1:]]


def renumber(events: list[list[bytes]]) -> None:
    """Drops one, and moves all later ones up."""
    del events[309]
    for index in range(309, len(events)):
        leaf = msgspec.json.decode(events[index][0])
        events[index][0] = msgspec.json.encode(leaf | {"position": index + 1})


def add_last(events: list[list[bytes]]) -> None:
    log = SampleLog([sample_event(EVENTS + 1)], (1,), KEY)
    events.append(log.bundle_lines(0))


def flip(name: str, at: int) -> Callable[[Parts], None]:
    def alter(parts: Parts) -> None:
        content = bytearray(parts[name])
        content[at] ^= 1
        parts[name] = bytes(content)

    return alter


def tile_and_leaf(parts: Parts) -> None:
    """Alters an event and its hash in the tile alike."""
    altered(310, 0, b'"stream":"segment-29"', b'"stream":"segment-28"')(parts)
    events = parts.events
    leaf = events[309][0].replace(b'"stream_version":8', b'"stream_version":9')
    events[309][0] = leaf
    parts.events = events
    tile = parts["tile/0/001"]
    parts["tile/0/001"] = tile[: 53 * 32] + leaf_hash(leaf) + tile[54 * 32 :]


def sign_anew(parts: Parts) -> None:
    other = SigningKey.generate(NAME)
    notes = [note.partition("\n\n")[0] + "\n" for note in parts.heads]
    parts.heads = [str(Note(text, (other.sign(text),))) for text in notes]
    parts["keys.txt"] = f"{other.verifier.text}\n".encode()


def sign_last_anew(parts: Parts) -> None:
    whole = parts.heads
    sign_anew(parts)
    parts.heads = [*whole[:-1], parts.heads[-1]]


def head_edited(parts: Parts) -> None:
    heads = parts.heads
    heads[4] = heads[4].replace("\n300\n", "\n299\n")
    parts.heads = heads


FORGERIES: dict[str, tuple[Callable[[Parts], None], int, int]] = {
    "the leaf's epoch": (altered(310, 0, b'"epoch":1', b'"epoch":2'), 310, 310),
    "its position": (altered(310, 0, b'"position":310', b'"position":311'), 310, 310),
    "its id": (altered(310, 0, LOG.leaves[309][40:50], LOG.leaves[309][40:49] + b"f"), 310, 310),
    "its stream": (altered(310, 0, b"segment-29", b"segment-92"), 310, 310),
    "its stream's version": (altered(310, 0, b'"stream_version":8', b'"stream_version":7'), 310, 310),
    "its event type": (altered(310, 0, b"segment.dispatched", b"segment.completed"), 310, 310),
    "its schema version": (altered(310, 0, b'"schema_version":1', b'"schema_version":2'), 310, 310),
    "its team": (altered(310, 0, b"team-1", b"team-2"), 310, 310),
    "its user": (altered(310, 0, b'"user_id":"0', b'"user_id":"1'), 310, 310),
    "its workflow": (altered(310, 0, b'"workflow_id":null', b'"workflow_id":"w"'), 310, 310),
    "its step": (altered(310, 0, b'"step_completed":null', b'"step_completed":"review"'), 310, 310),
    "its time, a little": (altered(310, 0, b".000000Z", b".000001Z"), 310, 310),
    "its time, to before": (altered(310, 0, b"2026-", b"2025-"), 310, 310),
    "its configuration's hash": (altered(310, 0, b'"configuration_sha256":"', b'"configuration_sha256":"0'), 310, 310),
    "a space in its leaf": (altered(310, 0, b',"id"', b', "id"'), 310, 310),
    "its configuration": (altered(310, 1, b"310", b"311"), 310, 310),
    "its configuration, a line break": (altered(310, 1, b":310", b":\n310"), 310, 310),
    "its metadata": (altered(310, 2, b'"c"', b'"d"'), 310, 310),
    "the first event's metadata": (altered(1, 2, b'"c"', b'"d"'), 1, 1),
    "the last event's metadata": (altered(EVENTS, 2, b'"c"', b'"d"'), EVENTS, EVENTS),
    "two events swapped": (events_changed(swap), 310, 310),
    "two events swapped with their surroundings": (events_changed(swap_contents), 310, 310),
    "the last one dropped": (events_changed(lambda events: events.pop()), EVENTS, EVENTS),
    "one in the middle dropped": (events_changed(lambda events: events.pop(309)), 310, 310),
    "one dropped and the others moved up": (events_changed(renumber), 310, 310),
    "one added at the end": (events_changed(add_last), EVENTS + 1, EVENTS + 1),
    "one given twice": (events_changed(lambda events: events.insert(310, events[309])), 311, 311),
    "the tile of an event": (flip("tile/0/001", 53 * 32), 310, 310),
    "a tile's length": (lambda parts: parts.update({"tile/0/002.p/188": parts["tile/0/002.p/188"] + b"\0"}), 513, 700),
    "a tile of the next level": (flip("tile/1/000.p/2", 32), 257, 512),
    "an event and its tile alike": (tile_and_leaf, 302, 349),
    "all heads signed with another key": (sign_anew, 1, EVENTS),
    "the last head signed with another key": (sign_last_anew, 691, EVENTS),
    "a head's size": (head_edited, 257, 299),
}


def test_an_untouched_bundle_is_sound(parts: Parts, verified: Any) -> None:
    code, found = verified(parts)
    assert (code, found["outcome"], found["heads_checked"]) == (0, "sound", len(HEADS))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_was_altered_is_found_where_it_is(forgery: str, parts: Parts, verified: Any) -> None:
    alter, first, last = FORGERIES[forgery]
    alter(parts)
    code, found = verified(parts)
    assert (code, found["first"], found["last"]) == (1, first, last), found["reason"]
    assert found["reason"]


def test_an_untouched_part_is_sound_for_whoever_asked_for_it(whole: Path, verified: Any) -> None:
    for first, last in (
        (1, 1),
        (1, 256),
        (2, 255),
        (257, 512),
        (300, 301),
        (310, 690),
        (513, EVENTS),
        (EVENTS, EVENTS),
    ):
        part = LOG.part(Parts.of(whole), first, last)
        code, found = verified(part, "--from", str(first), "--to", str(last))
        assert (code, found["checked_from"], found["checked_to"]) == (0, first, last), found
        code, found = verified(part)
        missing = (1, first - 1) if first > 1 else (last + 1, EVENTS)
        assert (code, found["outcome"], (found["first"], found["last"])) == (3, "incomplete", missing)


@pytest.mark.parametrize("forgery", ["its workflow", "its configuration", "its metadata", "the tile of an event"])
def test_what_was_altered_is_found_in_a_part(forgery: str, whole: Path, verified: Any) -> None:
    part = LOG.part(Parts.of(whole), 305, 640)
    if forgery == "the tile of an event":
        FORGERIES[forgery][0](part)
    else:
        number = {"its workflow": 0, "its configuration": 1, "its metadata": 2}[forgery]
        events = part.events
        old, new = {0: (b'"workflow_id":null', b'"workflow_id":"w"'), 1: (b"310", b"311"), 2: (b'"c"', b'"d"')}[number]
        events[5][number] = events[5][number].replace(old, new)
        part.events = events
    code, found = verified(part, "--from", "305", "--to", "640")
    assert (code, found["first"], found["last"]) == (1, 310, 310), found["reason"]


def test_a_part_without_the_tiles_that_tie_it_is_incomplete(whole: Path, verified: Any) -> None:
    for first, last, tile in ((305, 640, "tile/0/001"), (1, 300, "tile/0/002.p/188"), (305, 640, "tile/1/000.p/2")):
        part = LOG.part(Parts.of(whole), first, last)
        del part[tile]
        code, found = verified(part, "--from", str(first), "--to", str(last))
        assert (code, found["outcome"]) == (3, "incomplete"), found
        assert tile in found["reason"]


def test_a_part_that_is_said_to_be_another_is_found_out(whole: Path, verified: Any) -> None:
    """Who drops events and says that they were never asked for makes an incomplete log, and no sound one."""
    parts = LOG.part(Parts.of(whole), 1, EVENTS - 1)
    assert verified(parts)[0] == 3
    parts.manifest(to=EVENTS)
    code, found = verified(parts)
    assert (code, found["first"]) == (1, EVENTS)
    shifted = Parts.of(whole)
    shifted.manifest(**{"from": 2})
    assert verified(shifted)[0] == 1


def test_what_is_not_there_makes_a_bundle_incomplete_and_not_sound(parts: Parts, verified: Any) -> None:
    def without(name: str) -> Parts:
        return Parts((other, content) for other, content in parts.items() if other != name)

    for name in ("heads.ndjson", "manifest.json", "events.ndjson", "tile/0/001"):
        code, found = verified(without(name))
        assert (code, found["outcome"]) == (3, "incomplete"), name
        assert name in found["reason"] or name == "heads.ndjson"
    parts.heads = []
    assert verified(parts)[0] == 3


def test_bodies_that_were_withheld_are_counted_and_only_excused_for_who_asked(parts: Parts, verified: Any) -> None:
    others = [index for index, event in enumerate(LOG.events) if event.team_id != "team-1"]
    events = parts.events
    for index in others:
        events[index][1:] = [b"null", b"null"]
    parts.events = events
    code, found = verified(parts)
    assert (code, found["outcome"], found["first"], found["bodies_not_there"]) == (3, "incomplete", 3, 2 * len(others))
    assert verified(parts, "--team", "team-1")[0] == 0
    code, found = verified(parts, "--team", 'team "two"')
    assert (code, found["first"]) == (3, 3)
    events[0][1] = b"null"
    parts.events = events
    code, found = verified(parts, "--team", "team-1")
    assert (code, found["first"]) == (3, 1)


def test_an_id_that_was_recorded_twice_is_found_though_all_is_signed(tmp_path: Path, verified: Any) -> None:
    events = [*sample_events(300), sample_event(301, id=LOG.events[99].id), sample_event(302)]
    log = SampleLog(events, (100, 302), KEY)
    code, found = verified(Parts.of(log.bundle(tmp_path / "log.zip")))
    assert (code, found["first"], found["last"]) == (1, 301, 301)
    assert "position 100" in found["reason"]


@pytest.mark.parametrize(
    "changed",
    [
        {"stream_version": 9},
        {"stream_version": 7},
        {"stream": "segment-new"},
        {"recorded_at": LOG.events[308].recorded_at - (LOG.events[1].recorded_at - LOG.events[0].recorded_at) / 4},
    ],
    ids=["a version left out", "a version twice", "a stream that begins in the middle", "a time that goes back"],
)
def test_what_cannot_be_is_found_though_all_is_signed(changed: dict[str, Any], tmp_path: Path, verified: Any) -> None:
    events = [*sample_events(309), sample_event(310, **changed), *map(sample_event, range(311, 350))]
    log = SampleLog(events, (100, 349), KEY)
    code, found = verified(Parts.of(log.bundle(tmp_path / "log.zip")))
    assert (code, found["first"], found["last"]) == (1, 310, 310), found["reason"]


def test_a_head_that_was_kept_finds_what_the_keys_holder_has_written_anew(tmp_path: Path, verified: Any) -> None:
    events = list(sample_events(EVENTS))
    events[309] = sample_event(310, workflow_id="another")
    anew = Parts.of(SampleLog(events, HEADS, KEY).bundle(tmp_path / "log.zip"))
    assert verified(anew)[0] == 0
    kept = tmp_path / "kept"
    for heads, first, last in (((300, EVENTS), 301, 700), ((256, 512, 690), 257, 512), ((EVENTS,), 1, EVENTS)):
        kept.write_text("\n".join(LOG.head_of(size) for size in heads))
        code, found = verified(anew, "--head", str(kept))
        assert (code, found["first"], found["last"]) == (1, first, last), found["reason"]
    # Older ones say nothing of what came after them.
    kept.write_text(LOG.head_of(301))
    assert verified(anew, "--head", str(kept))[0] == 0


def test_a_head_that_was_kept_finds_a_log_that_was_taken_back(tmp_path: Path, verified: Any) -> None:
    older = Parts.of(SampleLog(list(sample_events(512)), (0, 100, 512), KEY).bundle(tmp_path / "log.zip"))
    assert verified(older)[0] == 0
    kept = tmp_path / "kept"
    kept.write_text(LOG.head_of(EVENTS))
    code, found = verified(older, "--head", str(kept))
    assert (code, found["first"], found["last"]) == (1, 513, EVENTS)


def test_an_older_key_is_named_or_its_heads_are_told_apart(parts: Parts, tmp_path: Path, verified: Any) -> None:
    older = SigningKey.generate(NAME)
    heads = parts.heads
    texts = [note.partition("\n\n")[0] + "\n" for note in heads]
    # As a log does that takes another key: the head where it changes has both.
    both = str(Note(texts[5], (older.sign(texts[5]), KEY.sign(texts[5]))))
    parts.heads = [*(str(Note(text, (older.sign(text),))) for text in texts[:5]), both, *heads[6:]]
    code, found = verified(parts)
    assert (code, found["heads_of_unknown_signers"], found["heads_checked"]) == (0, 5, 4)
    code, found = verified(parts, "--key", older.verifier.text)
    assert (code, found["heads_of_unknown_signers"], found["heads_checked"]) == (0, 0, 9)
    code, found = verified(parts, key=older)
    assert (code, found["first"], found["last"]) == (1, 302, EVENTS)


@pytest.mark.parametrize(
    ("lost", "signers", "code"),
    [
        (False, ("old", "both", "new"), 0),
        (True, ("old", "both", "new"), 1),
        # A second signature anybody can add; and an event of a forger's no head of the log's own key covers.
        (None, ("old", "both", "new"), 1),
        (False, ("old", "new", "new"), 1),
    ],
    ids=["as a log does", "the key was lost", "no event says so", "the key before has not signed"],
)
def test_a_key_that_the_key_before_vouches_for_is_followed(
    lost: bool | None, signers: tuple[str, ...], code: int, tmp_path: Path, verified: Any
) -> None:
    old, new = SigningKey.generate(NAME), SigningKey.generate(NAME)
    events = list(lone_events(1, 400))
    if lost is not None:
        events[309] = key_rotated(310, 1, new, old, lost=lost)
    log = SampleLog(events, (300, 320, 400), KEY)
    chosen = {"old": (old,), "both": (old, new), "new": (new,)}
    log.heads = [signed(note, *chosen[name]) for note, name in zip(log.heads, signers, strict=True)]
    found = verified(Parts.of(log.bundle(tmp_path / "log.zip")), key=old)
    followed = [{"position": 310, "key": new.verifier.text}] if code == 0 else []
    assert (found[0], found[1]["keys_followed"]) == (code, followed), found
    assert verified(Parts.of(log.bundle(tmp_path / "log.zip")), key=new)[0] == 0


def test_witnesses_that_the_auditor_names_are_checked(parts: Parts, tmp_path: Path, verified: Any) -> None:
    witness = SigningKey.generate("witness.example/w", COSIGNATURE)
    text = parts.heads[-1].partition("\n\n")[0] + "\n"
    line = witness.cosign(text, 1_760_000_000).line
    parts.heads = [*parts.heads[:-1], parts.heads[-1] + line]
    assert verified(parts)[1]["witnesses"] == []
    assert verified(parts, "--key", witness.verifier.text)[1]["witnesses"] == ["witness.example/w"]
    parts.heads = [*parts.heads[:-1], parts.heads[-1].replace(line, witness.cosign(text + "x\n", 1_760_000_000).line)]
    code, found = verified(parts, "--key", witness.verifier.text)
    assert (code, found["first"]) == (1, 691)
    # A witness alone proves nothing of a log.
    parts.heads = [f"{text}\n{line}"]
    assert verified(parts, "--key", witness.verifier.text)[0] == 1


def test_wrong_usage_is_told_from_a_wrong_log(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = KEY.verifier.text
    keys = tmp_path / "keys"
    keys.write_text(f"{key}\n")
    head = tmp_path / "head"
    head.write_text(str(Note("x\n1\n", ())))
    stranger = tmp_path / "stranger"
    text = LOG.head_of(300).partition("\n\n")[0] + "\n"
    stranger.write_text(str(Note(text, (SigningKey.generate(NAME).sign(text),))))
    other = tmp_path / "other.zip"
    other.write_bytes(b"not a bundle")
    for arguments in (
        [str(whole), "--key", key[:-4]],
        [str(whole), "--key", "nothing"],
        [str(whole), "--key", key, "--head", str(head)],
        [str(whole), "--key", key, "--head", str(stranger)],
        [str(tmp_path / "none.zip"), "--key", key],
        [str(other), "--key", key],
    ):
        assert main(arguments) == 2, arguments
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit) as ended:
        main([str(whole)])
    assert ended.value.code == 2
    capsys.readouterr()
    assert main([str(whole), "--key", str(keys)]) == 0
    words = capsys.readouterr().out
    assert words.startswith(f"SOUND: the events of positions 1 to {EVENTS} ")
    assert LOG.head_of(EVENTS) in words
    assert "a tree head that you kept" in words


def test_a_file_that_breaks_off_is_no_bundle(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = whole.read_bytes()
    half = tmp_path / "half.zip"
    for size in (4, 1000, len(content) // 2, len(content) - 1):
        half.write_bytes(content[:size])
        assert main([str(half), "--key", KEY.verifier.text]) == 3
        assert capsys.readouterr().out.startswith("INCOMPLETE: ")


def test_a_byte_that_was_flipped_anywhere_in_the_file_is_found(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or changes nothing that the file says: of an archive's surroundings not all is content."""
    content = whole.read_bytes()
    sound = json.loads(_said(whole, capsys)[1])
    flipped = tmp_path / "flipped.zip"
    random = Random(5)
    for _ in range(25):
        at = random.randrange(4, len(content))
        flipped.write_bytes(content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :])
        code, said = _said(flipped, capsys)
        assert code in (1, 3) or json.loads(said) == sound, at


def _said(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main([str(file), "--key", KEY.verifier.text, "--json"])
    return code, capsys.readouterr().out
