"""An account as the API shows it: how it stands, its limits towards Amazon, and how fast Amazon lets it call."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from db.pool import Pool
from events.types.account import Region
from service.amc.accounts import DEFAULT, MOST_CONCURRENT, Hold, Status, hold_of
from service.amc.pace import burst_of
from service.endpoints import Answer
from service.settings import Settings


class PaceAnswer(Answer, frozen=True, kw_only=True):
    """Calls per second that Amazon lets pass now. `slowed_at` is when it last answered 429, and `slowed_until` when the
    next call may go after it."""

    requests_per_second: float
    slowed_at: datetime | None
    slowed_until: datetime | None


class AccountAnswer(Answer, frozen=True, kw_only=True):
    """An account and how it stands. `held_by` is why its work does not go on, and what to do; `error` are the
    words of who refused it. `max_concurrent`, `requests_per_second` and `burst` are its limits towards Amazon;
    `pace` is how fast Amazon lets it call now, and null before its first call."""

    account_id: str
    name: str
    region: Region | None
    base_url: str
    token_url: str
    client_id: str
    status: Status
    held_by: Hold | None
    error: str | None
    max_concurrent: int
    requests_per_second: float
    burst: int
    pace: PaceAnswer | None
    version: int
    created_at: datetime | None


# $1 is the rate of an account that has none of its own. `default` is there before its first event, and without one it
# has nothing but a pace.
SELECT_ACCOUNTS = f"""
SELECT a.*, known.account_id AS id, p.rate, p.slowed_at, p.slowed_until,
       amc_rate(p, coalesce(a.requests_per_second, $1), clock_timestamp()) AS rate_now
  FROM (SELECT account_id FROM amc_account_states UNION SELECT '{DEFAULT}') known
  LEFT JOIN amc_account_states a USING (account_id)
  LEFT JOIN amc_paces p USING (account_id)
"""  # noqa: S608


async def default_account(pool: Pool, settings: Settings) -> AccountAnswer:
    """The account of the settings, whether or not anything has happened to it."""
    statement = f"{SELECT_ACCOUNTS} WHERE known.account_id = $2"
    row = await pool.fetchrow(statement, settings.amc_requests_per_second, DEFAULT)
    assert row is not None
    known = dict(row)
    if row["status"] is None:
        known |= {"name": DEFAULT, "status": "connected", "stream_version": 0}
    of_settings = {
        "base_url": settings.amc_base_url,
        "token_url": settings.amc_token_url,
        "client_id": settings.amc_client_id,
    }
    return shown(known | of_settings, settings)


async def account_answers(pool: Pool, settings: Settings) -> list[AccountAnswer]:
    """Every account of every team, `default` first."""
    statement = f"{SELECT_ACCOUNTS} WHERE known.account_id <> $2 ORDER BY known.account_id"
    rows = await pool.fetch(statement, settings.amc_requests_per_second, DEFAULT)
    return [await default_account(pool, settings), *(shown(row, settings) for row in rows)]


def shown(row: Any, settings: Settings) -> AccountAnswer:
    """A row of SELECT_ACCOUNTS as the API shows it."""
    rate = row["requests_per_second"] or settings.amc_requests_per_second
    return AccountAnswer(
        account_id=row["id"],
        name=row["name"],
        region=row["region"],
        base_url=row["base_url"],
        token_url=row["token_url"],
        client_id=row["client_id"],
        status=row["status"],
        held_by=None
        if row["status"] == "connected"
        else hold_of(row["id"], row["status"], row["cause"], row["status_since"]),
        error=row["error"],
        max_concurrent=row["max_concurrent"] or MOST_CONCURRENT,
        requests_per_second=rate,
        burst=row["burst"] or burst_of(rate),
        pace=PaceAnswer(
            requests_per_second=row["rate_now"],
            slowed_at=row["slowed_at"],
            slowed_until=row["slowed_until"],
        )
        if row["rate"]
        else None,
        version=row["stream_version"],
        created_at=row["created_at"],
    )
