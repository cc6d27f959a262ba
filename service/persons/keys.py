"""The table `person_keys`: a key for each person who has written something, encrypted with the key from outside.

Nothing of it is remembered: each look is one row by its key, and an erasure counts everywhere at its commit.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from uuid import UUID

import asyncpg
import msgspec

from db.pool import Connection, Pool
from service.amc.keys import KEY_BYTES, ROTATION_LOCK, NoSecretKey, SecretKey, SecretKeys
from service.ciphers import NotSealedSo, decrypt, encrypt
from service.persons.sealing import PersonKey

# In one statement, so that key and version are of one moment.
_CURRENT = """
SELECT k.key_id, k.wrapped_with, k.key,
       coalesce((SELECT a.stream_version FROM report_builder_audit a WHERE a.stream = 'person-' || $1::uuid
                  ORDER BY a.stream_version DESC LIMIT 1), 0) AS version
  FROM (SELECT) AS one LEFT JOIN person_keys k ON k.user_id = $1
"""


class PersonUnknown(Exception):
    """There is no such person any more: they were erased while they were at work. After the next sign-in they are
    another."""


class CurrentKey(msgspec.Struct, frozen=True):
    """A person's key, and the version of their stream at which it was theirs: an erasure moves that on."""

    key: PersonKey
    version: int


class PersonKeys:
    """The keys, and the key to them. Every method raises NoSecretKey where that is not here."""

    def __init__(self, pool: Pool, keys: SecretKeys) -> None:
        self._pool = pool
        self._keys = keys

    async def current(self, user_id: UUID) -> CurrentKey:
        """The key to seal with, made where there is none. Raises PersonUnknown."""
        while True:
            row = await self._pool.fetchrow(_CURRENT, user_id)
            assert row is not None
            if row["key_id"] is not None:
                return CurrentKey(self._unwrapped(user_id, row), row["version"])
            await self._make(user_id)

    async def find(self, key_ids: Collection[str]) -> dict[str, PersonKey]:
        """The keys by id; those of erased persons are not among them."""
        rows = await self._pool.fetch(
            "SELECT user_id, key_id, wrapped_with, key FROM person_keys WHERE key_id = ANY ($1)", list(key_ids)
        )
        return {row["key_id"]: self._unwrapped(row["user_id"], row) for row in rows}

    async def _make(self, user_id: UUID) -> None:
        """Gives the person a key; nothing where another process was first."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock_shared({ROTATION_LOCK})")
            outer, key_id = self._keys.current(), secrets.token_hex(8)
            wrapped = encrypt(outer.key, secrets.token_bytes(KEY_BYTES), _bound_to(user_id, key_id))
            try:
                await connection.execute(
                    "INSERT INTO person_keys (user_id, key_id, wrapped_with, key) VALUES ($1, $2, $3, $4)"
                    " ON CONFLICT (user_id) DO NOTHING",
                    user_id,
                    key_id,
                    outer.id,
                    wrapped,
                )
            except asyncpg.ForeignKeyViolationError:
                raise PersonUnknown(f"there is no person {user_id}") from None

    def _unwrapped(self, user_id: UUID, row: asyncpg.Record) -> PersonKey:
        outer = self._keys.find(row["wrapped_with"])
        try:
            key = decrypt(outer.key, row["key"], _bound_to(user_id, row["key_id"]))
        except NotSealedSo:
            raise NoSecretKey(f"the key of {user_id} was changed in the database") from None
        return PersonKey(user_id, row["key_id"], key)


async def wrap_again(connection: Connection, keys: SecretKeys, newest: SecretKey) -> int:
    """For a rotation, which holds its lock: encrypts with the newest key what another one encrypts; answers how many
    keys that were. Raises NoSecretKey."""
    rows = await connection.fetch("SELECT * FROM person_keys WHERE wrapped_with <> $1 FOR UPDATE", newest.id)
    for row in rows:
        bound_to = _bound_to(row["user_id"], row["key_id"])
        plain = decrypt(keys.find(row["wrapped_with"]).key, row["key"], bound_to)
        await connection.execute(
            "UPDATE person_keys SET wrapped_with = $2, key = $3 WHERE user_id = $1",
            row["user_id"],
            newest.id,
            encrypt(newest.key, plain, bound_to),
        )
    return len(rows)


def _bound_to(user_id: UUID, key_id: str) -> bytes:
    return "\n".join(("person_keys", str(user_id), key_id)).encode()
