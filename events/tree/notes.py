"""Signed notes (c2sp.org/signed-note) with Ed25519, and co-signatures of witnesses (c2sp.org/tlog-cosignature)."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Iterable
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ED25519 = 0x01
COSIGNATURE = 0x04
KINDS = (ED25519, COSIGNATURE)

# Far more than a head of ours ever has, and few enough to be checked without a thought.
MAX_SIGNATURES = 100
MAX_BYTES = 1_000_000
LAST_TIME = 2**63 - 1

_DASH = "— "


class NoteError(ValueError):
    """A note or key that is not well formed, or a signature that does not hold; the message says which."""


class Signature(msgspec.Struct, frozen=True):
    """A signature line: the key's name and id, and the bytes behind them."""

    name: str
    key_id: bytes
    content: bytes

    @property
    def line(self) -> str:
        """As it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {_encode(self.key_id + self.content)}\n"


class VerifierKey(msgspec.Struct, frozen=True):
    """The public half of a key: of a log (ED25519), or of a witness (COSIGNATURE)."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in signatures, together with its name."""
        return sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The vkey: name, id and public key with plus signs between them."""
        return f"{self.name}+{self.key_id.hex()}+{_encode(bytes((self.kind,)) + self.public)}"

    def signed(self, signature: Signature) -> bool:
        """Whether the line names this key; not whether it holds."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def verify(self, text: str, signature: Signature) -> None:
        """Raises NoteError where the key has not made this signature of the text."""
        content, message = signature.content, text.encode()
        if self.kind == COSIGNATURE:
            time = int.from_bytes(content[:8], "big")
            if time > LAST_TIME:
                raise NoteError(f"the co-signature of {self.name} has no time that can be")
            message = cosigned_message(text, time)
            content = content[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(content, message)
        except InvalidSignature:
            raise NoteError(f"the signature of {self.name} does not hold") from None


class SigningKey:
    """A key of Ed25519 with its name."""

    def __init__(self, name: str, private: Ed25519PrivateKey, kind: int = ED25519) -> None:
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._private = private
        self.verifier = VerifierKey(_checked_name(name), public, kind)

    @classmethod
    def generate(cls, name: str, kind: int = ED25519) -> SigningKey:
        """A new key."""
        return cls(name, Ed25519PrivateKey.generate(), kind)

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """A key from its `private_text`. Raises NoteError, without any of the text in it."""
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise NoteError("this is no private key of a note's signer")
        try:
            kind, *seed = _decode(parts[4])
            key = cls(parts[2], Ed25519PrivateKey.from_private_bytes(bytes(seed)), kind)
        except ValueError:
            raise NoteError("this private key is damaged") from None
        if kind not in KINDS or key.verifier.key_id.hex() != parts[3]:
            raise NoteError("this private key is damaged")
        return key

    @property
    def private_text(self) -> str:
        """The key as Go's signers of notes keep theirs."""
        seed = self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        verifier = self.verifier
        return f"PRIVATE+KEY+{verifier.name}+{verifier.key_id.hex()}+{_encode(bytes((verifier.kind,)) + seed)}"

    def sign(self, text: str) -> Signature:
        """The signature of a note's text; the same text always gets the same."""
        return Signature(self.verifier.name, self.verifier.key_id, self._private.sign(text.encode()))

    def cosign(self, text: str, time: int) -> Signature:
        """A witness's signature of a head: it has seen it, consistent, at `time` (seconds since 1970)."""
        signed = self._private.sign(cosigned_message(text, time))
        return Signature(self.verifier.name, self.verifier.key_id, time.to_bytes(8, "big") + signed)


class Note(msgspec.Struct, frozen=True):
    """A text, which ends in a newline, and its signatures. The text counts for nothing until `verified` has named a
    key that one trusts."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def verified(self, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
        """Those of the keys that have signed it. Signatures of others are passed over.

        Raises NoteError where one that names such a key does not hold, or where none of the keys has signed.
        """
        signers = []
        for key in keys:
            for signature in self.signatures:
                if key.signed(signature):
                    key.verify(self.text, signature)
                    signers.append(key)
                    break
        if not signers:
            raise NoteError("the note is signed by none of the keys that are trusted")
        return signers


def parse_note(text: str) -> Note:
    """A note from its text. Raises NoteError."""
    if len(text) > MAX_BYTES or any(character < " " and character != "\n" for character in text):
        raise NoteError("this is no note: it is too long, or holds control characters")
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise NoteError("this is no note: it has no blank line with signature lines behind it")
    signatures = tuple(parse_signature(line) for line in lines[:-1].split("\n"))
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise NoteError(f"a note has 1 to {MAX_SIGNATURES} signatures, not {len(signatures)}")
    return Note(body + "\n", signatures)


def parse_signature(line: str) -> Signature:
    """A signature line without its newline. Raises NoteError."""
    name, space, content = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise NoteError("a signature line is a dash, a name and base64, with spaces between them")
    decoded = _decode(content)
    if len(decoded) < 5:
        raise NoteError("a signature is shorter than its key's id")
    return Signature(_checked_name(name), decoded[:4], decoded[4:])


def parse_verifier_key(text: str) -> VerifierKey:
    """A vkey. Raises NoteError where it is damaged or of a kind other than Ed25519 and its co-signatures."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteError(f"{text!r} is no public key: it has a name, an id and base64, with plus signs between them")
    name, key_id, content = parts
    decoded = _decode(content)
    if len(decoded) != 33 or decoded[0] not in KINDS:
        raise NoteError(f"{text!r} is no key of Ed25519")
    key = VerifierKey(_checked_name(name), decoded[1:], decoded[0])
    if key.key_id.hex() != key_id:
        raise NoteError(f"{text!r} is damaged: its id is not that of its name and key")
    return key


def cosigned_message(text: str, time: int) -> bytes:
    """What a witness signs of a head's text, at so many seconds since 1970."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(_is_space(character) for character in name):
        raise NoteError(f"{name!r} is no key's name: it may hold neither spaces nor plus signs")
    return name


def _is_space(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc")


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decode(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{text[:100]!r} is no base64") from None
    if _encode(content) != text:
        raise NoteError(f"{text[:100]!r} is no base64 as it is written")
    return content
