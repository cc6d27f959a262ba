"""Read model `amc_account_states`: the accounts and how each one stands; their secrets are elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from events.envelope import RecordedEvent
from events.types import account
from projections.rows import Rows, Table


class AccountRow(msgspec.Struct, kw_only=True):
    account_id: str
    team_id: str
    name: str
    region: str | None = None
    base_url: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    status: str = "connected"
    cause: str | None = None
    error: str | None = None
    status_since: datetime
    max_concurrent: int | None = None
    requests_per_second: float | None = None
    burst: int | None = None
    stream_version: int
    created_at: datetime
    updated_at: datetime


ACCOUNTS = Table("amc_account_states", "account_id", AccountRow)


def want_account(event: RecordedEvent, rows: Rows) -> None:
    rows.want(ACCOUNTS, event.entity_id)


def account_moved(event: RecordedEvent, data: Any, rows: Rows) -> None:
    row = rows.find(ACCOUNTS, event.entity_id) or _added(event, rows)
    row.updated_at, row.stream_version = event.recorded_at, event.stream_version
    if isinstance(data, account.AccountLimitsSet):  # which says nothing of how it stands
        row.max_concurrent, row.burst = data.max_concurrent, data.burst
        row.requests_per_second = data.requests_per_second
        return
    row.status_since, row.cause, row.error = event.recorded_at, None, None
    match data:
        case account.AccountConnected():
            row.status = "connected"
            row.name, row.region, row.client_id = data.name, data.region, data.client_id
            row.base_url, row.token_url = data.base_url, data.token_url
        case account.AccountReconnected():
            row.status = "connected"
            row.client_id = data.client_id
        case account.AccountRevoked():
            row.status, row.cause, row.error = "reconnect", data.cause, data.error
        case account.AccountDisconnected():
            row.status = "disconnected"


def _added(event: RecordedEvent, rows: Rows) -> AccountRow:
    row = AccountRow(
        account_id=event.entity_id,
        team_id=event.team_id,
        name=event.entity_id,
        status_since=event.recorded_at,
        stream_version=event.stream_version,
        created_at=event.recorded_at,
        updated_at=event.recorded_at,
    )
    rows.add(ACCOUNTS, row)
    return row


TABLES = (ACCOUNTS,)
HANDLERS = {name: (want_account, account_moved) for name, _ in account.EVENTS}
