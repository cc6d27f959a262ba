"""What the persons' routes take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from events.validation import Body
from service.commands import Reason
from service.endpoints import Answer, Query, Recorded
from service.persons.copies import Copy
from service.persons.state import LegalHold


class PlaceHold(Body, frozen=True, kw_only=True):
    """Forbids that anything of the person is erased. `reason` is why, for whoever lifts it."""

    reason: Reason


class ListPersons(Query, frozen=True, kw_only=True):
    """Which persons: `search` is a part of the name, the e-mail address or the issuer's name for them, in large or
    small letters; `cursor` is a `next_cursor`."""

    search: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None


class PersonItem(Answer, frozen=True, kw_only=True):
    """A person, or a program: who they are for the issuer of their credentials, and what it calls them. All of it is
    null once they are erased."""

    user_id: UUID
    issuer: str | None
    subject: str | None
    name: str | None
    email: str | None
    created_at: datetime | None


class PersonPage(Answer, frozen=True, kw_only=True):
    """Persons by id; `next_cursor` leads on, null on the last page."""

    items: list[PersonItem]
    next_cursor: str | None


class PersonAnswer(PersonItem, frozen=True, kw_only=True):
    """A person with what was done about them; `version` is that of their stream. `hold`: nothing of them may be erased.
    `erased_at`: what they had written until then is erased."""

    version: int
    hold: LegalHold | None
    erased_at: datetime | None


class PersonMoved(Recorded, frozen=True, kw_only=True):
    """The person after a command."""

    user_id: UUID
    version: int


class PersonErased(PersonMoved, frozen=True, kw_only=True):
    """The person is erased; `copies` are the places that this does not reach."""

    copies: tuple[Copy, ...]
