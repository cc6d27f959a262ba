"""Events of `account-` streams: the Amazon Ads logins that work runs with. None of them holds a secret.

`credential_id` names the secrets in force, which are outside the log. The account `default` has its secrets in
the settings: its stream begins with the first thing that happens to it, and its credential is null.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

Region = Literal["NA", "EU", "FE"]
RevocationCause = Literal["refused", "unreadable"]


class AccountConnected(msgspec.Struct, frozen=True, kw_only=True):
    """A login that Amazon has accepted. `region` is null where the addresses are the operator's own."""

    name: str
    region: Region | None
    base_url: str
    token_url: str
    client_id: str
    credential_id: UUID


class AccountReconnected(msgspec.Struct, frozen=True, kw_only=True):
    """Amazon has accepted it again; what was held goes on. Both are as they stand now, and null for `default`."""

    client_id: str | None
    credential_id: UUID | None


class AccountRevoked(msgspec.Struct, frozen=True):
    """It cannot be used until a person connects it again: its work is held from here on.

    `refused`: Amazon does not accept it any more; `error` is Amazon's own text. `unreadable`: its secrets
    cannot be read here.
    """

    cause: RevocationCause
    error: str


class AccountDisconnected(msgspec.Struct, frozen=True):
    """A person took it out of use, and its secrets were deleted. Its work is held."""


class AccountLimitsSet(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of Amazon with it from here on. `max_concurrent`: executions at once over all its instances;
    `requests_per_second` and `burst`: calls per second, and at once. Null: as the service is set up."""

    max_concurrent: int | None
    requests_per_second: float | None
    burst: int | None


EVENTS = {
    ("account.connected", 1): AccountConnected,
    ("account.reconnected", 1): AccountReconnected,
    ("account.revoked", 1): AccountRevoked,
    ("account.disconnected", 1): AccountDisconnected,
    ("account.limits_set", 1): AccountLimitsSet,
}
