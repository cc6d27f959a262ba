"""Files of heads, one behind the other: what was cut off while it was written costs no other head."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from events.tree.heads import TreeHead
from events.tree.notes import Note, SigningKey
from service.tree.folder import FolderUnfit, SignedHead, TreeFolder
from service.tree.places import FilePlace
from service.tree.restore import known_heads


def head(key: SigningKey, size: int) -> SignedHead:
    said = TreeHead(key.verifier.name, size, sha256(b"%d" % size).digest())
    return SignedHead(1, said, Note(said.text, (key.sign(said.text),)))


@pytest.fixture
def folder(tmp_path: Path) -> TreeFolder:
    folder = TreeFolder(tmp_path / "tree")
    with folder.locked():
        folder.create_key("log.example")
    return folder


@pytest.fixture
def heads(folder: TreeFolder) -> list[SignedHead]:
    key = folder.signing_key()
    assert key is not None
    return [head(key, size) for size in (5, 10, 15)]


async def test_a_file_is_gone_on_with_behind_a_head_that_was_cut_off(
    folder: TreeFolder, heads: list[SignedHead], tmp_path: Path
) -> None:
    first, second, third = (f"{each.note}\n".encode() for each in heads)
    for cut in range(len(second) + 1):
        file = tmp_path / f"heads-{cut}"
        file.write_bytes(first + second[:cut])
        await FilePlace(file).take(heads[2:])
        assert file.read_bytes().startswith(first + second[:cut])
        assert file.read_bytes().endswith(b"\n\n" + third if cut else third)
        reasons: list[str] = []
        found = known_heads(folder, [file.read_text(errors="replace")], reasons.append)
        whole = cut >= len(second) - 2  # the last two are the newlines behind it
        assert [each.head.size for each in found] == ([5, 10, 15] if whole else [5, 15]), cut
        assert bool(reasons) == (not whole and cut > 0), cut
        assert all(reason.startswith("what begins at line 7 is no") for reason in reasons[:1])


async def test_heads_lie_alike_in_a_file_however_many_were_written_at_once(
    heads: list[SignedHead], tmp_path: Path
) -> None:
    await FilePlace(tmp_path / "at once").take(heads)
    place = FilePlace(tmp_path / "one by one")
    for each in heads:
        await place.take([each])
    assert (tmp_path / "one by one").read_bytes() == (tmp_path / "at once").read_bytes()


def test_a_head_that_another_was_written_into_is_passed_over(folder: TreeFolder, heads: list[SignedHead]) -> None:
    first, second, third = (str(each.note) for each in heads)
    reasons: list[str] = []
    found = known_heads(folder, [f"{first}\n{second[:40]}{second}\n\n\n{third}"], reasons.append)
    assert [each.head.size for each in found] == [5, 15]
    assert len(reasons) == 1


def test_a_file_without_any_head_of_the_log_is_refused(folder: TreeFolder, heads: list[SignedHead]) -> None:
    other = str(head(SigningKey.generate("other.example"), 5).note)
    for text in ("", "no head", other, str(heads[0].note)[:-10]):
        with pytest.raises(FolderUnfit, match="has no head of the log"):
            known_heads(folder, [str(heads[0].note), text], print)
