"""Persons and programs as this service knows them: one id of our own for each issuer and subject."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from db.pool import Pool
from events.envelope import new_id
from events.personal import PREFIX

MAX_KNOWN = 10_000

# Of any number of first sights at once one inserts; the others find what it has written. What a token leaves out
# is kept.
_FIND = """
INSERT INTO users AS u (user_id, issuer, subject, name, email) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (issuer, subject) DO UPDATE
   SET name = coalesce(excluded.name, u.name), email = coalesce(excluded.email, u.email),
       updated_at = clock_timestamp()
RETURNING user_id
"""


class Users:
    """Finds users, and adds those who come for the first time; remembers the last MAX_KNOWN of them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: OrderedDict[tuple[str | None, ...], UUID] = OrderedDict()

    async def find(self, issuer: str, subject: str, name: str | None = None, email: str | None = None) -> UUID:
        """The id of the issuer's subject; a new name or e-mail address replaces the one that was known. A text that
        could be taken for a sealed one is none: people choose what they are called."""
        asked = (issuer, subject, *(None if text and PREFIX in text else text for text in (name, email)))
        if (known := self._known.get(asked)) is not None:
            self._known.move_to_end(asked)
            return known
        user_id: UUID = await self._pool.fetchval(_FIND, new_id(), *asked)
        self._known[asked] = user_id
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return user_id

    def forget(self, user_id: UUID) -> None:
        """The next sight of them is a first one: they were erased."""
        for asked in [asked for asked, known in self._known.items() if known == user_id]:
            self._known.pop(asked, None)

    async def describe(self, user_id: UUID) -> tuple[str | None, str | None]:
        """What a user is called, and their e-mail address."""
        row = await self._pool.fetchrow("SELECT name, email FROM users WHERE user_id = $1", user_id)
        return (row["name"], row["email"]) if row else (None, None)
