"""Files that nobody has exported: whatever is in them, the verifier says what is wrong, with the right exit code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from events.tree.notes import SigningKey
from report_builder_verify.__main__ import main
from report_builder_verify.bundle import LONGEST_HEAD
from tests.bundles import Parts, SampleLog, sample_event, sample_events, signed
from tests.unit.verifier.conftest import Judge

EVENTS = 512
LONG = b"9" * 5000
DEEP = b"[" * 200_000
ESCAPES = "\x1b[2K\rSOUND\x9b8m\u202e"


@pytest.fixture
def log(key: SigningKey) -> SampleLog:
    return SampleLog(list(sample_events(EVENTS)), (100, EVENTS), key)


@pytest.fixture
def parts(log: SampleLog, tmp_path: Path) -> Parts:
    return Parts.of(log.bundle(tmp_path / "whole.zip"))


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Parts], None]:
    def alter(parts: Parts) -> None:
        assert old in parts[name]
        parts[name] = parts[name].replace(old, new, 1)

    return alter


def added(name: str, content: bytes, *, named: bool) -> Callable[[Parts], None]:
    """Another file, which the manifest may name."""

    def alter(parts: Parts) -> None:
        parts[name] = content
        if named:
            files = json.loads(parts["manifest.json"])["files"]
            parts.manifest(files=files | {name: sha256(content).hexdigest()})

    return alter


def said(**changed: object) -> Callable[[Parts], None]:
    return lambda parts: parts.manifest(**changed)


def leaf(old: bytes, new: bytes) -> Callable[[Parts], None]:
    return replaced("events.ndjson", old, new)


BAD: dict[str, tuple[Callable[[Parts], None], str]] = {
    "a manifest nested deeply": (lambda parts: parts.update({"manifest.json": b'{"form":' + DEEP}), "cannot be read"),
    "a number of 5000 digits in it": (replaced("manifest.json", b'"to": 512', b'"to": ' + LONG), "cannot be read"),
    "a number of 4000 digits in it": (replaced("manifest.json", b"512", LONG[:4000]), "contradicts itself"),
    "a position that is a truth": (said(**{"from": True}), "contradicts itself"),
    "a position with a point": (said(**{"from": 1.0}), "contradicts itself"),
    "a last position with a point": (said(to=512.0), "contradicts itself"),
    "a last position that is no number": (replaced("manifest.json", b'"to": 512', b'"to": NaN'), "contradicts itself"),
    "a tree that is smaller": (said(tree_size=5), "contradicts itself"),
    "a tree that is larger": (said(tree_size=513), "names a tree of 513 events"),
    "a team that has not all of it": (said(team="team-1"), "the team team-1 alone, and that of 3"),
    "a hash that is none": (said(files={"keys.txt": "../keys"}), "contradicts itself"),
    "heads nested deeply": (lambda parts: parts.update({"heads.ndjson": DEEP + b"\n"}), "line 1 of heads.ndjson"),
    "a head of 5000 digits": (replaced("heads.ndjson", b"\\n512\\n", b"\\n" + LONG + b"\\n"), "line 2 of heads.ndjson"),
    "a head of 4000 digits": (
        replaced("heads.ndjson", b"\\n512\\n", b"\\n" + LONG[:4000] + b"\\n"),
        "line 2 of heads.ndjson",
    ),
    "an epoch of 5000 digits": (
        replaced("heads.ndjson", b"log\\n512", b"log/epoch-" + LONG + b"\\n512"),
        "is of audit.example/log, and the log there is not",
    ),
    "a head that is no text": (lambda parts: parts.update({"heads.ndjson": b"7\n"}), "line 1 of heads.ndjson"),
    "a head with half a character": (replaced("heads.ndjson", b"audit", b"\\ud800"), "line 1 of heads.ndjson"),
    "heads in the wrong order": (
        lambda parts: setattr(parts, "heads", parts.heads[::-1]),
        "the events go beyond the newest tree head, which is of 100",
    ),
    "a head twice": (lambda parts: setattr(parts, "heads", parts.heads[:1] * 2 + parts.heads[1:]), "line 2 of heads"),
    "a line of heads without an end": (
        lambda parts: parts.update({"heads.ndjson": bytes(3 * LONGEST_HEAD)}),
        "a line of heads.ndjson is longer than it can be",
    ),
    "a position of 5000 digits in a leaf": (
        leaf(b'"position":1,', b'"position":' + LONG + b","),
        "the form that leaves",
    ),
    "an epoch of 5000 digits in a leaf": (leaf(b'"epoch":1,', b'"epoch":' + LONG + b","), "the form that leaves"),
    "a stream of 5000 versions": (
        leaf(b'"stream_version":1,', b'"stream_version":' + LONG + b","),
        "the form that leaves",
    ),
    "a stream that is no text": (
        leaf(b'"segment-0","stream_version":1,', b'"\\q\xff","stream_version":7,'),
        "JSON in it that cannot be read",
    ),
    "a tile of another tree": (added("tile/0/003", bytes(32), named=False), "tile/0/003 does not belong"),
    "a tile that the manifest names": (
        added("tile/0/000", bytes(32), named=True),
        "tile/0/000 was altered",
    ),
    "a file somewhere else": (
        added("../../home/x/.bashrc", b"evil", named=True),
        "../../home/x/.bashrc does not belong",
    ),
    "a schema somewhere else": (
        added("schemas/../x.y/1.json", b"{}", named=True),
        "schemas/../x.y/1.json does not belong",
    ),
    "a file that the manifest does not name": (
        added("schemas/a.b/1.json", b"{}", named=False),
        "schemas/a.b/1.json does",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_nobody_has_exported_is_tampered_with(name: str, parts: Parts, judged: Judge) -> None:
    alter, reason = BAD[name]
    alter(parts)
    code, found = judged(parts)
    assert (code, reason in found["reason"]) == (1, True), found["reason"][:300]


def test_a_schema_that_the_manifest_names_is_a_file_of_the_bundle(parts: Parts, judged: Judge) -> None:
    added("schemas/report.created/1.json", b"{}", named=True)(parts)
    assert judged(parts)[0] == 0


def test_an_event_about_the_log_that_is_nested_deeply_is_found(key: SigningKey, judged: Judge) -> None:
    for stream, event_type in (("log-keys", "log.key_rotated"), ("log-epochs", "log.epoch_begun")):
        deep = sample_event(1, stream=stream, event_type=event_type, configuration=DEEP.decode())
        log = SampleLog([deep], (1,), key, epoch_of=lambda position: 2)
        code, found = judged(log)
        assert (code, found["first"]) == (1, 1)


def test_a_tile_at_the_edge_that_no_event_needs_is_held_against_the_one_above(
    log: SampleLog, parts: Parts, judged: Judge
) -> None:
    part = log.part(parts, 1, 100)
    assert judged(part, arguments=("--to", "100"))[0] == 0
    part["tile/0/001"] = bytes(1) + part["tile/0/001"][1:]
    code, found = judged(part, arguments=("--to", "100"))
    assert (code, found["first"], found["last"]) == (1, 257, 512), found


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_part_that_is_packed_otherwise_or_damaged_is_told(
    method: int, parts: Parts, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    file, buffer = tmp_path / "packed.zip", io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    whole = bytearray(buffer.getvalue())
    file.write_bytes(whole)
    assert main([str(file), "--key", key.verifier.text]) == (0 if method in (0, 8) else 1)
    random = Random(1)
    for _ in range(30):
        whole[random.randrange(60, len(whole) // 2)] ^= 0xFF
    file.write_bytes(whole)
    assert main([str(file), "--key", key.verifier.text]) == 1
    assert capsys.readouterr().err == ""


def test_a_table_of_contents_of_anything_ends_in_a_verdict(
    log: SampleLog, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    """Among it versions and methods of ZIP that nobody knows, places before the file, names that are no text."""
    content = log.bundle(tmp_path / "whole.zip").read_bytes()
    table = content.index(b"PK\1\2")
    file, random = tmp_path / "changed.zip", Random(7)
    for at in [*range(table, table + 70), *range(len(content) - 22, len(content))]:
        changed = bytearray(content)
        changed[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
        changed[random.randrange(table, len(content))] = random.randrange(256)
        file.write_bytes(changed)
        assert main([str(file), "--key", key.verifier.text, "--json"]) in (0, 1, 3), at
    assert capsys.readouterr().err == ""


def test_names_of_the_bundle_send_a_terminal_nothing(
    parts: Parts, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bundle.zip"
    stream = json.dumps(ESCAPES).encode()
    signature = f"— {ESCAPES} AAAAAAA=\n"
    for alter in (
        added(ESCAPES, b"", named=False),
        leaf(b'"segment-0","stream_version":1,', stream + b',"stream_version":7,'),
        said(form=ESCAPES),
        lambda parts: setattr(parts, "heads", [*parts.heads[:-1], parts.heads[-1] + signature]),
    ):
        bad = Parts(parts)
        alter(bad)
        for form in ((), ("--json",)):
            assert main([str(bad.write(file)), "--key", key.verifier.text, *form]) in (1, 2)
            text = "".join(capsys.readouterr())
            assert text.replace("\n", "").isprintable(), text


def test_a_sound_log_says_what_is_not_shown(
    parts: Parts, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("README.txt", "keys.txt"):
        added(name, b"Call 555 for the key", named=True)(parts)
    assert main([str(parts.write(tmp_path / "bundle.zip")), "--key", key.verifier.text]) == 0
    assert "not shown by anything, as they are not in the tree: README.txt, keys.txt" in capsys.readouterr().out


def test_a_head_that_was_cut_off_is_named_and_the_others_of_the_file_count(
    log: SampleLog, parts: Parts, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    file, kept = parts.write(tmp_path / "bundle.zip"), tmp_path / "kept"
    note, last = log.head_of(100), log.head_of(EVENTS)
    begun = note.encode()
    size = len(begun.partition(b"\n\n")[0])
    for cut in (3, 17, 22, size - 1, size, size + 1, size + 2, size + 3, size + 4, size + 9, len(begun) - 3):
        # What is begun after a blank line; and, as it once was, straight behind what was cut off.
        for between, fewest in ((b"\n\n", 3), (b"", 2)):
            kept.write_bytes(begun + b"\n" + begun[:cut] + between + last.encode() + b"\n" + last.encode())
            code = main([str(file), "--key", key.verifier.text, "--head", str(kept), "--json"])
            said = capsys.readouterr()
            assert (code, said.err.count("\n") in (1, 2)) == (0, True), (cut, between, said.err)
            assert json.loads(said.out)["kept_heads_checked"] >= fewest, (cut, between)
            assert "at line 7 " in said.err
    for content in (begun[:40], b"", b"\n\n", b"x\n" + LONG + b"\n" + b"A" * 43 + b"=\n\n\xe2\x80\x94 x AAAA\n"):
        kept.write_bytes(content)
        assert main([str(file), "--key", key.verifier.text, "--head", str(kept)]) == 2
    stranger = signed(note, SigningKey.generate("audit.example/log"))
    kept.write_text(f"{note}\n{stranger}")
    assert main([str(file), "--key", key.verifier.text, "--head", str(kept)]) == 2


def test_positions_begin_with_one(parts: Parts, tmp_path: Path, key: SigningKey) -> None:
    file = str(parts.write(tmp_path / "bundle.zip"))
    for option, position in (("--from", "-5"), ("--from", "0"), ("--to", "9" * 30), ("--to", "x")):
        with pytest.raises(SystemExit) as ended:
            main([file, "--key", key.verifier.text, option, position])
        assert ended.value.code == 2
