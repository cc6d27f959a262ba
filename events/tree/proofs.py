"""Proofs in a file (c2sp.org/tlog-proof): that one leaf is in the tree of a signed head."""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from events.tree.merkle import HASH_BYTES
from events.tree.notes import Note, NoteError, parse_note

FIRST_LINE = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63

_INDEX = re.compile("index (0|[1-9][0-9]{0,18})")


class InclusionProof(msgspec.Struct, frozen=True):
    """The leaf's index (its position less 1), the hashes from its sibling up, and the head. `extra` is the leaf's
    bytes where the file brings them along; it is proven by nothing but the hash that is computed from it."""

    index: int
    hashes: tuple[bytes, ...]
    head: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = [] if self.extra is None else [f"extra {_encode(self.extra)}"]
        lines = [FIRST_LINE, *extra, f"index {self.index}", *map(_encode, self.hashes)]
        return "".join(f"{line}\n" for line in lines) + f"\n{self.head}"


def parse_proof(text: str) -> InclusionProof:
    """A proof from its file. Raises NoteError; whether it proves anything is another question."""
    above, blank, note = text.partition("\n\n")
    lines = above.split("\n")
    if not blank or lines.pop(0) != FIRST_LINE:
        raise NoteError(f"this is no proof: its first line must be {FIRST_LINE}")
    extra = _decode(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None or len(lines) > MAX_HASHES:
        raise NoteError("the proof has no index, or more hashes than a tree is high")
    hashes = tuple(_decode(line) for line in lines)
    if any(len(each) != HASH_BYTES for each in hashes):
        raise NoteError("a hash of the proof is not one of SHA-256")
    return InclusionProof(int(index[1]), hashes, parse_note(note), extra)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("a line of the proof is no base64") from None
