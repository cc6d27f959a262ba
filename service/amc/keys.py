"""The keys that account secrets and the keys of persons are encrypted with: from `REPORT_BUILDER_SECRET_KEY`, or a
file of our own.

The first key encrypts, all of them decrypt. A key has an id, made of the key, so that a row can say which one it
needs. A file is read anew each time: a rotation by another process counts at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path

import msgspec

from service.settings import Settings, SettingsError

KEY_BYTES = 32
KEY_FILE = "secret-key"
# Taken shared to encrypt, alone to rotate: nothing is encrypted with a key that a rotation is about to forget.
ROTATION_LOCK = "hashtext('amc_accounts key')"
HOW_TO_MAKE = "make one with `openssl rand -base64 32`"


class NoSecretKey(Exception):
    """There is no key, or not the one that is needed; the message says what to set."""


class SecretKey(msgspec.Struct, frozen=True):
    """An AES-256 key. Its id tells keys apart and says nothing about them."""

    key: bytes

    @property
    def id(self) -> str:
        return hashlib.sha256(b"report-builder key id\n" + self.key).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"SecretKey({self.id})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what rich shows in place of __repr__
        return [("id", self.id)]


class SecretKeys:
    """Where the keys come from. With an embedded database and without the setting, from a file in the data
    folder, which is made when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError where the setting holds something else than keys."""
        self._set = read_keys(settings.secret_key) if settings.secret_key else ()
        embedded = not settings.secret_key and settings.database_url is None
        self.file = settings.data_dir / KEY_FILE if embedded else None

    def current(self) -> SecretKey:
        """The key to encrypt with. Raises NoSecretKey."""
        if self.file is not None and not self.file.exists():
            _write(self.file, (_new_key(),), replace=False)
        if keys := self.all():
            return keys[0]
        raise NoSecretKey(f"set REPORT_BUILDER_SECRET_KEY for every process; {HOW_TO_MAKE}")

    def find(self, key_id: str) -> SecretKey:
        """The key to decrypt with. Raises NoSecretKey where it is not here."""
        for key in self.all():
            if key.id == key_id:
                return key
        where = f"the file {self.file}" if self.file else "REPORT_BUILDER_SECRET_KEY"
        raise NoSecretKey(f"the secret was encrypted with the key {key_id}, which {where} does not hold")

    def all(self) -> tuple[SecretKey, ...]:
        """Every key, the one that encrypts first."""
        if self.file is None:
            return self._set
        try:
            return read_keys(self.file.read_text().strip(), str(self.file))
        except FileNotFoundError:
            return ()

    def begin_rotation(self) -> None:
        """Puts a new key first, where the keys are ours; those of the setting are the operator's to change."""
        if self.file is not None:
            _write(self.file, (_new_key(), *self.all()))

    def end_rotation(self, key: SecretKey) -> None:
        """Forgets every other key, where the keys are ours."""
        if self.file is not None:
            _write(self.file, (key,))


def read_keys(text: str, name: str = "REPORT_BUILDER_SECRET_KEY") -> tuple[SecretKey, ...]:
    """Keys of 32 bytes in base64, separated by commas. Raises SettingsError, which repeats `name` and no key."""
    try:
        keys = tuple(
            SecretKey(base64.b64decode(part.strip().replace("-", "+").replace("_", "/"), validate=True))
            for part in text.split(",")
        )
    except (binascii.Error, ValueError):
        keys = ()
    if not keys or any(len(key.key) != KEY_BYTES for key in keys):
        raise SettingsError(f"{name} must hold keys of {KEY_BYTES} bytes in base64, separated by commas; {HOW_TO_MAKE}")
    return keys


def _new_key() -> SecretKey:
    return SecretKey(secrets.token_bytes(KEY_BYTES))


def _write(file: Path, keys: tuple[SecretKey, ...], *, replace: bool = True) -> None:
    """Writes the file whole, for its owner alone. Without `replace` the first of two processes wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as content:
            content.write(",".join(base64.b64encode(key.key).decode() for key in keys) + "\n")
            content.flush()
            os.fsync(content.fileno())
        if replace:
            scratch.replace(file)
        else:
            try:
                os.link(scratch, file)
            except FileExistsError:
                return
    finally:
        scratch.unlink(missing_ok=True)
