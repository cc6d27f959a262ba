"""What holds a collection's work: the account of its instance, as the read models have it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from events.types.account import RevocationCause
from service.amc.accounts import Hold, Status, hold_of


class _Held(msgspec.Struct):
    account_id: str
    status: Status
    cause: RevocationCause | None
    since: datetime


def held_account(instance_id: str) -> str:
    """The SQL expression of the JSON that `hold_in` reads, for the instance that the column names; null where
    its account may be used."""
    return f"""
(SELECT json_build_object('account_id', held.account_id, 'status', held.status, 'cause', held.cause,
                          'since', held.status_since)
   FROM amc_instances run_on JOIN amc_account_states held ON held.account_id = run_on.account_id
  WHERE run_on.instance_id = {instance_id} AND held.status <> 'connected')"""  # noqa: S608


def hold_in(column: str | None) -> Hold | None:
    """The hold that `held_account` selected."""
    if column is None:
        return None
    held = msgspec.json.decode(column, type=_Held)
    return hold_of(held.account_id, held.status, held.cause, held.since)
