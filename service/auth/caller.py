"""The caller of a request.

The service listens on loopback and takes every caller as its one local person, of its one team.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from starlette.requests import Request


class Caller(msgspec.Struct, frozen=True):
    """A person of a team; `user_id` is this service's own id for them."""

    team_id: str
    user_id: UUID


LOCAL = Caller("local", UUID("00000000-0000-7000-8000-000000000001"))


def caller_of(request: Request) -> Caller:
    """The person on whose behalf the request comes."""
    return LOCAL
