"""The secrets of accounts: encrypted in a table outside the log, or references that are resolved at use.

A row is named by its credential's id and never changed; the event that names it puts it in force. AES-256-GCM
binds each ciphertext to its account, its credential and its field: moved elsewhere it does not decrypt.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from db.pool import Connection, Pool
from service.amc.keys import ROTATION_LOCK, NoSecretKey, SecretKey, SecretKeys
from service.ciphers import NotSealedSo, decrypt, encrypt
from service.persons.keys import wrap_again

FIELDS = ("client_secret", "refresh_token")
_NEEDED_OF_OTHERS = """
SELECT EXISTS (SELECT FROM amc_accounts WHERE key_id <> $1) OR EXISTS (SELECT FROM person_keys WHERE wrapped_with <> $1)
"""
REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]+")


class SecretUnreadable(Exception):
    """A secret cannot be had here; the message says why, and never holds it."""


class Secret(msgspec.Struct, frozen=True):
    """A secret as a person gave it: its text, or a reference to where it is (`env:NAME`, `file:/path`)."""

    text: str
    reference: bool = False

    def __repr__(self) -> str:
        return f"Secret({self.text!r})" if self.reference else "Secret(hidden)"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what rich shows in place of __repr__
        return [("reference", self.text if self.reference else None)]

    def resolve(self) -> str:
        """The secret itself, read now. Raises SecretUnreadable."""
        if not self.reference:
            return self.text
        kind, _, name = self.text.partition(":")
        if kind == "env":
            value = os.environ.get(name, "")
        else:
            try:
                value = Path(name).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SecretUnreadable(f"{self.text} cannot be read ({type(error).__name__})") from None
        if not value:
            raise SecretUnreadable(f"{self.text} is empty or not set in this process")
        return value


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """The two secrets of an account."""

    client_secret: Secret
    refresh_token: Secret


class Vault:
    """The table `amc_accounts`, and the keys to it."""

    def __init__(self, pool: Pool, keys: SecretKeys) -> None:
        self._pool = pool
        self._keys = keys

    async def store(self, account_id: str, credential_id: UUID, credentials: Credentials) -> None:
        """Keeps the secrets; nothing uses them until an event names the credential. Raises NoSecretKey."""
        given = {field: getattr(credentials, field) for field in FIELDS}
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock_shared({ROTATION_LOCK})")
            plain = any(not secret.reference for secret in given.values())
            key = self._keys.current() if plain else None
            columns: dict[str, object] = {}
            for field, secret in given.items():
                columns[f"{field}_reference"] = secret.text if secret.reference else None
                columns[field] = (
                    None
                    if secret.reference or key is None
                    else encrypt(key.key, secret.text.encode(), _bound_to(account_id, credential_id, field))
                )
            await connection.execute(
                "INSERT INTO amc_accounts (credential_id, account_id, key_id, client_secret, client_secret_reference,"
                "  refresh_token, refresh_token_reference) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                credential_id,
                account_id,
                key.id if key else None,
                columns["client_secret"],
                columns["client_secret_reference"],
                columns["refresh_token"],
                columns["refresh_token_reference"],
            )

    async def load(self, account_id: str, credential_id: UUID) -> Credentials:
        """The secrets, decrypted; references as they are. Raises SecretUnreadable."""
        row = await self._pool.fetchrow("SELECT * FROM amc_accounts WHERE credential_id = $1", credential_id)
        if row is None:
            raise SecretUnreadable("its secrets are not in the database any more")
        found = {}
        for field in FIELDS:
            if (reference := row[f"{field}_reference"]) is not None:
                found[field] = Secret(reference, reference=True)
            else:
                # The account that asks, not the row's: a row that was given another owner does not decrypt.
                found[field] = Secret(self._decrypt(row, field, account_id))
        return Credentials(**found)

    async def delete(self, credential_id: UUID) -> None:
        """Forgets secrets that no event names any more."""
        await self._pool.execute("DELETE FROM amc_accounts WHERE credential_id = $1", credential_id)

    async def rotate(self) -> int:
        """Encrypts all secrets, and the keys of persons, with the newest key; answers how many rows changed. Killed at
        any line, every secret can still be read, and a second rotation ends what was begun. Raises SecretUnreadable."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({ROTATION_LOCK})")
            # Before the first row is changed: until the end old and new key are both there.
            await asyncio.to_thread(self._keys.begin_rotation)
            key = self._keys.current()
            rows = await connection.fetch("SELECT * FROM amc_accounts WHERE key_id <> $1 FOR UPDATE", key.id)
            for row in rows:
                await self._encrypt_again(connection, row, key)
            try:
                persons = await wrap_again(connection, self._keys, key)
            except NoSecretKey as error:
                raise SecretUnreadable(str(error)) from None
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({ROTATION_LOCK})")
            # Another rotation may have begun in between: then the older keys are still needed, and it forgets them.
            if not await connection.fetchval(_NEEDED_OF_OTHERS, key.id):
                await asyncio.to_thread(self._keys.end_rotation, key)
        return len(rows) + persons

    async def _encrypt_again(self, connection: Connection, row: asyncpg.Record, key: SecretKey) -> None:
        account_id, credential_id = row["account_id"], row["credential_id"]
        again = [
            None
            if row[field] is None
            else encrypt(
                key.key,
                self._decrypt(row, field, account_id).encode(),
                _bound_to(account_id, credential_id, field),
            )
            for field in FIELDS
        ]
        await connection.execute(
            "UPDATE amc_accounts SET key_id = $2, client_secret = $3, refresh_token = $4 WHERE credential_id = $1",
            credential_id,
            key.id,
            *again,
        )

    def _decrypt(self, row: asyncpg.Record, field: str, account_id: str) -> str:
        try:
            key = self._keys.find(row["key_id"])
        except NoSecretKey as error:
            raise SecretUnreadable(str(error)) from None
        bound_to = _bound_to(account_id, row["credential_id"], field)
        try:
            return decrypt(key.key, row[field], bound_to).decode()
        except NotSealedSo:
            raise SecretUnreadable("its secrets were changed in the database; connect it again") from None


def _bound_to(account_id: str, credential_id: UUID, field: str) -> bytes:
    return "\n".join(("amc_accounts", account_id, str(credential_id), field)).encode()
