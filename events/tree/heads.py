"""Tree heads (c2sp.org/tlog-checkpoint): the text that is signed, and which epoch's it is."""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from events.tree.merkle import HASH_BYTES
from events.tree.notes import Note, NoteError

_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_OF_EPOCH = re.compile(r"(.+)/epoch-([1-9][0-9]{0,9})", re.DOTALL)


class TreeHead(msgspec.Struct, frozen=True):
    """What a signed head says: the log's origin, how many leaves its tree has, and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text of its note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def head_of(note: Note) -> TreeHead:
    """What the note says, whoever has signed it. Raises NoteError where it is no tree head of ours: we write no lines
    of extensions, so none are read."""
    lines = note.text.split("\n")
    if len(lines) != 4 or not lines[0] or _SIZE.fullmatch(lines[1]) is None:
        raise NoteError("the note is no tree head: that is an origin, a size and a root, each in a line")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        root = b""
    head = TreeHead(lines[0], int(lines[1]), root)
    if len(root) != HASH_BYTES or head.text != note.text:
        raise NoteError("the note's root is no hash")
    return head


def origin_of(name: str, epoch: int) -> str:
    """The origin of a log's heads in an epoch. Heads of one origin never contradict each other; after a restore
    they may, so that each further epoch has an origin of its own."""
    return name if epoch == 1 else f"{name}/epoch-{epoch}"


def epoch_of(origin: str, name: str) -> int:
    """The epoch of a head of the log of this name. Raises NoteError where it is another log's."""
    if origin == name:
        return 1
    found = _OF_EPOCH.fullmatch(origin)
    if found is None or found[1] != name or found[2] == "1":
        raise NoteError(f"a head of {origin!r} is none of the log {name!r}")
    return int(found[2])
