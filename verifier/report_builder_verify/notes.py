"""Public keys, and tree heads: signed notes that say "the log had so many events, and this is the tree's root".

The forms are C2SP's: signed-note, tlog-checkpoint and tlog-cosignature (https://c2sp.org).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG_KEY, WITNESS_KEY = 0x01, 0x04
SIZE = re.compile("0|[1-9][0-9]{0,18}")
EPOCH = re.compile("/epoch-([2-9]|[1-9][0-9]{1,9})$")
SIGNATURE_LINE = re.compile("— ([^+\\s]+) ([A-Za-z0-9+/=]+)")


class NotReadable(ValueError):
    """A key or a tree head does not have the form that it should."""


class PublicKey(NamedTuple):
    """A key in C2SP's form `NAME+HASH+BASE64`. `kind` is LOG_KEY, or WITNESS_KEY of one that co-signs."""

    name: str
    hash: bytes
    kind: int
    public: bytes

    def __str__(self) -> str:
        material = base64.b64encode(bytes((self.kind,)) + self.public).decode()
        return f"{self.name}+{self.hash.hex()}+{material}"

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether this key has made the signature of the text."""
        if self.kind == WITNESS_KEY:
            if len(signature) != 72:
                return False
            text = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + text
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class TreeHead(NamedTuple):
    """What was signed: the log of this origin had `size` events, and the tree of these had the root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...]
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]
    """The name and the hash of each key, and what it signed."""

    @property
    def note(self) -> str:
        """As it is written."""
        lines = (f"— {name} {base64.b64encode(hash + content).decode()}\n" for name, hash, content in self.signatures)
        return f"{self.text.decode()}\n{''.join(lines)}"

    @property
    def name(self) -> str:
        """The log's name: the origin, without the epoch of one that was restored."""
        return EPOCH.sub("", self.origin)

    @property
    def epoch(self) -> int:
        """Which of the log's epochs the head is of: each restore begins another one."""
        found = EPOCH.search(self.origin)
        return int(found[1]) if found else 1

    @property
    def order(self) -> tuple[int, int]:
        """Later heads have a greater one."""
        return self.epoch, self.size

    def signers(self, keys: Mapping[tuple[str, bytes], PublicKey]) -> tuple[list[PublicKey], list[str]]:
        """Which of the keys have signed, and the names of those whose signatures are false. Others are passed over."""
        good, false = [], []
        for name, key_hash, signature in self.signatures:
            if key := keys.get((name, key_hash)):
                if key.signed(self.text, signature):
                    good.append(key)
                else:
                    false.append(name)
        return good, false


def read_key(text: str) -> PublicKey:
    """Raises NotReadable."""
    name, _, rest = text.strip().partition("+")
    hex_hash, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
        key_hash = bytes.fromhex(hex_hash)
        Ed25519PublicKey.from_public_bytes(material[1:])
    except ValueError:
        raise NotReadable(f"{text.strip()!r} is not a public key: NAME+HASH+BASE64") from None
    if material[0] not in (LOG_KEY, WITNESS_KEY):
        raise NotReadable(f"the key {name} is of a kind ({material[0]}) that this verifier does not know")
    if key_hash != hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]:
        raise NotReadable(f"the key {name} does not have the hash {hex_hash}: it was not copied whole")
    return PublicKey(name, key_hash, material[0], material[1:])


def key_ring(keys: Iterable[PublicKey]) -> dict[tuple[str, bytes], PublicKey]:
    """The keys by what a signature names them with."""
    return {(key.name, key.hash): key for key in keys}


def signed_by_log(head: TreeHead, signers: Iterable[PublicKey]) -> bool:
    """Whether one of the signers is the log itself, and no witness or other log."""
    return any(key.kind == LOG_KEY and key.name == head.name for key in signers)


def read_head(note: str) -> TreeHead:
    """Raises NotReadable. It says nothing of the signatures."""
    text, blank, signatures = note.partition("\n\n")
    lines = text.split("\n")
    found = [SIGNATURE_LINE.fullmatch(line) for line in signatures.removesuffix("\n").split("\n")]
    if not blank or len(lines) < 3 or not SIZE.fullmatch(lines[1]) or not all(found):
        raise NotReadable("it is not a signed tree head")
    if not note.replace("\n", "").isprintable():
        raise NotReadable("it is not a signed tree head: it has characters that no terminal should be sent")
    try:
        root = base64.b64decode(lines[2], validate=True)
        decoded = [(match[1], base64.b64decode(match[2], validate=True)) for match in found if match]
    except binascii.Error:
        raise NotReadable("it is not a signed tree head: its root or a signature is no Base64") from None
    if len(root) != 32:
        raise NotReadable("it is not a signed tree head: its root is not 32 bytes long")
    signed = tuple((name, signature[:4], signature[4:]) for name, signature in decoded)
    return TreeHead(lines[0], int(lines[1]), root, tuple(lines[3:]), (text + "\n").encode(), signed)


def read_heads(text: str) -> list[tuple[int, TreeHead | None]]:
    """What is in a text that has heads one behind the other, with blank lines between two: where each begins, by lines
    from 1; None is what is no head."""
    found, line = list[tuple[int, TreeHead | None]](), 1
    # A blank line within a note has its signatures behind it, which begin with a dash.
    for part in re.split("(\n\n+(?!—))", text):
        if note := part.strip("\n"):
            try:
                found.append((line, read_head(note + "\n")))
            except NotReadable:
                found.append((line, None))
        line += part.count("\n")
    return found
