"""What the signer keeps outside of the database: its key, the last head that it signed, and what it was allowed.

Whoever can alter the database cannot alter these files, and so cannot have a head signed that contradicts an earlier
one. Each file is replaced whole, and is on the disk before anything rests on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from events.tree.heads import TreeHead, epoch_of, head_of
from events.tree.notes import Note, NoteError, SigningKey, VerifierKey, parse_note, parse_verifier_key
from events.types.log import EpochBegun


class FolderUnfit(Exception):
    """The folder lacks something, or holds what cannot be trusted; the message names the file and the remedy."""


class FolderBusy(Exception):
    """Another process works with the folder now."""


class SignedHead(msgspec.Struct, frozen=True):
    """A head of this log with its signatures, and the epoch that its origin names."""

    epoch: int
    head: TreeHead
    note: Note

    @property
    def order(self) -> tuple[int, int]:
        """Later heads have a greater one."""
        return self.epoch, self.head.size


class Leave(msgspec.Struct, frozen=True):
    """That the signer may go on in the epoch that the event `event_id` begins, although it is not consistent with the
    last head signed before. `said` is what the event must say: what lies in the table anybody may have put there."""

    event_id: UUID
    said: EpochBegun


class TreeFolder:
    """The files in one folder, which is made where it is missing. All methods block: they read and write files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """For as long as the block runs, no other process has the folder. Raises FolderBusy, FolderUnfit."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderUnfit(f"the folder {self._folder} of the tree's key cannot be used: {error}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise FolderBusy from None
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def soon_locked(self, patience: float = 10.0) -> AsyncIterator[None]:
        """The same for a command, which waits so many seconds for the rounds of a signer. Raises FolderUnfit."""
        deadline = time.monotonic() + patience
        while True:
            try:
                with self.locked():
                    yield
                    return
            except FolderBusy:
                if time.monotonic() > deadline:
                    raise FolderUnfit(f"another command works with {self._folder}; wait for it to end") from None
            await asyncio.sleep(0.05)

    def signing_key(self) -> SigningKey | None:
        """The key that heads are signed with; null where none was made yet."""
        return self._key("signing-key")

    def next_key(self) -> SigningKey | None:
        """The key that the log is to be signed with from its next `log.key_rotated` on."""
        return self._key("next-signing-key")

    def create_key(self, name: str) -> SigningKey:
        """Makes the first key."""
        return self._create("signing-key", name)

    def create_next_key(self, name: str) -> SigningKey:
        """Makes the next key, or answers the one that waits already."""
        return self.next_key() or self._create("next-signing-key", name)

    def promote_next_key(self) -> None:
        """The next key takes the place of the one that signed so far, of which the public half is kept."""
        current = self.signing_key()
        if current is not None:
            self.retire(current.verifier)
        (self._folder / "next-signing-key").replace(self._folder / "signing-key")
        _sync(self._folder)

    def retire(self, key: VerifierKey) -> None:
        """Keeps the public half of a key that signs no more."""
        keys = dict.fromkeys([*(retired.text for retired in self.retired_keys()), key.text])
        self._write("retired-keys", "".join(f"{text}\n" for text in keys))

    def retired_keys(self) -> list[VerifierKey]:
        """The public halves of those that signed before. Raises FolderUnfit."""
        try:
            return [parse_verifier_key(line) for line in (self._read("retired-keys") or "").split()]
        except NoteError as error:
            raise FolderUnfit(f"{self._folder / 'retired-keys'} cannot be used: {error}") from None

    def verifier_keys(self) -> list[VerifierKey]:
        """All keys whose signatures are the log's own."""
        keys = [key.verifier for key in (self.signing_key(), self.next_key()) if key is not None]
        return keys + self.retired_keys()

    def last_head(self, keys: Sequence[VerifierKey] | None = None) -> SignedHead | None:
        """The last head that was signed here, by one of the keys, which are the log's own where none are given. Raises
        FolderUnfit where it is not."""
        text = self._read("last-head")
        if text is None:
            return None
        try:
            return signed_head(text, self.verifier_keys() if keys is None else keys)
        except NoteError as error:
            raise FolderUnfit(f"{self._folder / 'last-head'} is not what was written there: {error}") from None

    def keep_head(self, note: Note) -> None:
        """From when this returns the head counts as signed, whatever becomes of the process."""
        self._write("last-head", str(note))

    def leave(self) -> Leave | None:
        """In which new epoch the signer may go on, if any. Raises FolderUnfit."""
        text = self._read("epoch")
        try:
            return None if text is None else msgspec.json.decode(text, type=Leave)
        except msgspec.MsgspecError as error:
            raise FolderUnfit(
                f"{self._folder / 'epoch'} cannot be used ({error}): run `report-builder restore` again"
            ) from None

    def give_leave(self, leave: Leave) -> None:
        """Lets the signer go on in a new epoch."""
        self._write("epoch", msgspec.json.encode(leave).decode())

    def _key(self, name: str) -> SigningKey | None:
        file = self._folder / name
        text = self._read(name)
        if text is None:
            return None
        if file.stat().st_mode & 0o077:
            raise FolderUnfit(f"{file} signs tree heads, and others may read it: chmod 600 {file}")
        try:
            return SigningKey.parse(text)
        except NoteError as error:
            raise FolderUnfit(f"{file} cannot be used: {error}") from None

    def _create(self, name: str, key_name: str) -> SigningKey:
        key = SigningKey.generate(key_name)
        self._write(name, key.private_text + "\n")
        return key

    def _read(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FolderUnfit(f"{self._folder / name} cannot be read: {error}") from None

    def _write(self, name: str, text: str) -> None:
        draft = self._folder / f"{name}.{secrets.token_hex(8)}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            draft.replace(self._folder / name)
            _sync(self._folder)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise FolderUnfit(f"{self._folder / name} cannot be written: {error}") from None


def signed_head(text: str, keys: Sequence[VerifierKey]) -> SignedHead:
    """A head that one of the keys, all of one log, has signed. Raises NoteError."""
    note = parse_note(text)
    head = head_of(note)
    signer = note.verified(keys)[0]
    return SignedHead(epoch_of(head.origin, signer.name), head, note)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
