"""The caller of a request: who they are, the team they act for, and what they may do."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from starlette.requests import Request

from service.auth.scopes import SCOPES, Scope
from service.problems import Refused

Credential = Literal["none", "token", "session"]
"""What a caller was known by: nothing (the local person), a bearer token, or a browser's session."""


class Caller(msgspec.Struct, frozen=True):
    """A person of a team; `user_id` is this service's own id for them. `admin` includes every other scope.

    `teams` are all of the person's, of which `team_id` is the one that they act for now. What they were known
    by is refused from `expires_at` on (UTC, by the database's clock); None: it does not end.
    """

    team_id: str
    user_id: UUID
    scopes: frozenset[Scope] = frozenset()
    teams: tuple[str, ...] = ()
    expires_at: datetime | None = None
    credential: Credential = "none"

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def require(self, scope: Scope | None) -> None:
        """Raises Refused where the caller lacks the scope; None asks for none."""
        if scope is not None and not self.may(scope):
            raise Refused("forbidden", f"this takes the scope {scope}; ask for a token or a role that has it")


LOCAL = Caller("local", UUID("00000000-0000-7000-8000-000000000001"), SCOPES, ("local",))


def caller_of(request: Request) -> Caller:
    """The person on whose behalf the request comes, as the door has found; public endpoints have none."""
    caller: Caller = request.state.caller
    return caller
