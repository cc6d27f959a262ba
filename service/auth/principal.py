"""Who was recognised, before it is said for which of their teams they come."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from service.auth.caller import Caller, Credential
from service.auth.scopes import Scope
from service.problems import Refused

FOR_TEAM = "for_team"
"""The parameter of a GET that names the team where no header can: in a link."""


class Principal(msgspec.Struct, frozen=True):
    """A user with all of their teams. `expires_at` is in seconds since 1970 by the database's clock; None: never."""

    user_id: UUID
    teams: tuple[str, ...]
    scopes: frozenset[Scope]
    expires_at: float | None
    credential: Credential

    def for_team(self, chosen: str | None) -> Caller:
        """The caller for the chosen team, or for the first. Raises Refused for a team that is not theirs."""
        if not self.teams:
            raise Refused("forbidden", "you are in no team yet; ask the administrator of your sign-in for one")
        if chosen is not None and chosen not in self.teams:
            raise Refused("forbidden", f"you are not in the team that Report-Builder-Team or {FOR_TEAM} names")
        return Caller(
            team_id=chosen if chosen is not None else self.teams[0],
            user_id=self.user_id,
            scopes=self.scopes,
            teams=self.teams,
            expires_at=None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC),
            credential=self.credential,
        )
