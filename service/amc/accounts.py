"""Accounts as their events have made them: where each is, whether it may be used, and what to do where not. Pure,
but for `load_account`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from db.pool import Pool
from events.envelope import SYSTEM, RecordedEvent, stream_of
from events.reader import read_stream
from events.types import account
from events.types.account import Region, RevocationCause

DEFAULT = "default"
"""The account of the settings: it belongs to the installation, and any team's instances may run with it."""

MOST_CONCURRENT = 200
"""Executions that AMC runs at once for one account; what an account without a limit of its own has."""

Status = Literal["connected", "reconnect", "disconnected"]
HoldReason = Literal["account_revoked", "account_disconnected"]


class Addresses(msgspec.Struct, frozen=True):
    """Where a region's calls go. Any of them works for any login; the nearest is advised."""

    base_url: str
    token_url: str


REGIONS: dict[Region, Addresses] = {
    "NA": Addresses("https://advertising-api.amazon.com", "https://api.amazon.com/auth/o2/token"),
    "EU": Addresses("https://advertising-api-eu.amazon.com", "https://api.amazon.co.uk/auth/o2/token"),
    "FE": Addresses("https://advertising-api-fe.amazon.com", "https://api.amazon.co.jp/auth/o2/token"),
}


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why work does not go on, since when, and what makes it go on."""

    reason: HoldReason
    account_id: str
    since: datetime
    remedy: str


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """An account by its events; `version` is its stream's, 0 where it has none.

    Of `default` nothing but its status is here: the rest is in the settings.
    """

    account_id: str
    version: int = 0
    team_id: str = SYSTEM
    name: str = DEFAULT
    region: Region | None = None
    base_url: str = ""
    token_url: str = ""
    client_id: str = ""
    credential_id: UUID | None = None
    status: Status = "connected"
    cause: RevocationCause | None = None
    error: str | None = None
    since: datetime | None = None
    max_concurrent: int | None = None
    requests_per_second: float | None = None
    burst: int | None = None

    @property
    def exists(self) -> bool:
        return self.version > 0 or self.account_id == DEFAULT

    @property
    def hold(self) -> Hold | None:
        """Null where the account may be used."""
        if self.status == "connected" or self.since is None:
            return None
        return hold_of(self.account_id, self.status, self.cause, self.since)

    def evolve(self, event: RecordedEvent) -> AccountState:
        """The account after one more event."""
        changes: dict[str, Any] = {"version": event.stream_version, "team_id": event.team_id}
        if isinstance(event.data, account.AccountLimitsSet):  # which says nothing of how it stands
            return msgspec.structs.replace(self, **changes, **msgspec.structs.asdict(event.data))
        changes |= {"since": event.recorded_at, "cause": None, "error": None}
        match data := event.data:
            case account.AccountConnected():
                changes |= {"status": "connected"} | msgspec.structs.asdict(data)
            case account.AccountReconnected():
                changes |= {"status": "connected", "client_id": data.client_id or ""}
                changes |= {"credential_id": data.credential_id}
            case account.AccountRevoked():
                changes |= {"status": "reconnect", "cause": data.cause, "error": data.error}
            case account.AccountDisconnected():
                changes |= {"status": "disconnected", "credential_id": None}
        return msgspec.structs.replace(self, **changes)


def account_of(account_id: str, events: Iterable[RecordedEvent]) -> AccountState:
    """The account that a stream's events have made."""
    state = AccountState(account_id=account_id)
    for event in events:
        state = state.evolve(event)
    return state


async def load_account(pool: Pool, account_id: str) -> AccountState:
    """The account as the log has it now."""
    return account_of(account_id, await read_stream(pool, stream_of("account", account_id)))


def hold_of(account_id: str, status: Status, cause: RevocationCause | None, since: datetime) -> Hold:
    """What an account that is not connected means for its work."""
    reason: HoldReason = "account_disconnected" if status == "disconnected" else "account_revoked"
    return Hold(reason=reason, account_id=account_id, since=since, remedy=remedy(account_id, cause))


def remedy(account_id: str, cause: RevocationCause | None) -> str:
    """What a person does so that the account can be used again."""
    if account_id == DEFAULT:
        return (
            "put credentials that Amazon accepts into REPORT_BUILDER_AMC_CLIENT_ID, _AMC_CLIENT_SECRET and"
            " _AMC_REFRESH_TOKEN, and start the workers again; what is held then goes on by itself"
        )
    again = (
        f"connect the account again with POST /api/accounts/{account_id}/reconnect or"
        f" `report-builder accounts reconnect {account_id}`; what is held then goes on by itself"
    )
    if cause == "unreadable":
        return f"give every worker what the secrets are read with (see `error` of the account), then {again}"
    return again
