"""The caller of a request: who they are, the team they act for, and what they may do.

The service listens on loopback and takes every caller as its one local person, of its one team.
"""

from __future__ import annotations

from typing import Literal, get_args
from uuid import UUID

import msgspec
from starlette.requests import Request

from service.problems import Refused

Scope = Literal["reports:write", "collections:write", "schedules:write", "events:read", "audit:read", "admin"]
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


class Caller(msgspec.Struct, frozen=True):
    """A person of a team; `user_id` is this service's own id for them. `admin` includes every other scope."""

    team_id: str
    user_id: UUID
    scopes: frozenset[Scope] = frozenset()

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def require(self, scope: Scope | None) -> None:
        """Raises Refused where the caller lacks the scope; None asks for none."""
        if scope is not None and not self.may(scope):
            raise Refused("forbidden", f"this takes the scope {scope}; ask for a token or a role that has it")


LOCAL = Caller("local", UUID("00000000-0000-7000-8000-000000000001"), SCOPES)


def caller_of(request: Request) -> Caller:
    """The person on whose behalf the request comes."""
    return LOCAL
