"""Accounts and instances as their events make them, and what a person is told where one is held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest

from events.codec import encode
from events.envelope import RecordedEvent, new_id
from events.registry import event_type_of
from events.types import instance
from events.types.account import (
    AccountConnected,
    AccountDisconnected,
    AccountReconnected,
    AccountRevoked,
    Region,
)
from events.types.instance import InstanceAdded
from service.amc.accounts import DEFAULT, REGIONS, AccountState, account_of
from service.amc.instances import instance_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = new_id(), new_id()
CONNECTED = AccountConnected(
    name="Brand", region="FE", base_url="https://b", token_url="https://t", client_id="c", credential_id=FIRST
)
ADDED = InstanceAdded("Main", "ENTITY1", "ATVPDKIKX0DER", "UTC")


def recorded(stream: str, *data: msgspec.Struct, team_id: str = "t") -> list[RecordedEvent]:
    """The events as the log answers them, a second apart."""
    return [
        RecordedEvent(
            position=version, id=new_id(), stream=stream, stream_version=version,
            event_type=event_type_of(each).name, schema_version=1, team_id=team_id, user_id=None, workflow_id=None,
            step_completed=None, configuration=encode(each), metadata="{}",
            recorded_at=BEGAN + timedelta(seconds=version),
        )
        for version, each in enumerate(data, 1)
    ]  # fmt: skip


def account(*data: msgspec.Struct, account_id: str = "a") -> AccountState:
    return account_of(account_id, recorded(f"account-{account_id}", *data))


def test_an_account_goes_from_state_to_state() -> None:
    steps: list[tuple[msgspec.Struct, str, object, bool]] = [
        (CONNECTED, "connected", FIRST, False),
        (AccountRevoked("refused", "invalid_grant"), "reconnect", FIRST, True),
        (AccountReconnected(client_id="d", credential_id=SECOND), "connected", SECOND, False),
        (AccountDisconnected(), "disconnected", None, True),
        (AccountReconnected(client_id="d", credential_id=FIRST), "connected", FIRST, False),
    ]
    for count, (_, status, credential_id, held) in enumerate(steps, 1):
        state = account(*(data for data, *_ in steps[:count]))
        assert (state.version, state.status, state.credential_id) == (count, status, credential_id)
        assert (state.hold is not None) == held
        assert (state.name, state.region, state.base_url) == ("Brand", "FE", "https://b")
        assert state.since == BEGAN + timedelta(seconds=count)
    assert account(CONNECTED, AccountRevoked("refused", "no")).error == "no"


def test_only_the_account_of_the_settings_is_there_without_an_event() -> None:
    assert account(account_id=DEFAULT).exists
    assert account(account_id=DEFAULT).hold is None
    assert not account().exists
    assert account(CONNECTED).exists


@pytest.mark.parametrize(
    ("account_id", "data", "reason", "told"),
    [
        ("a", AccountRevoked("refused", "e"), "account_revoked", "POST /api/accounts/a/reconnect"),
        ("a", AccountRevoked("unreadable", "e"), "account_revoked", "give every worker what the secrets are read"),
        ("a", AccountDisconnected(), "account_disconnected", "`report-builder accounts reconnect a`"),
        (DEFAULT, AccountRevoked("refused", "e"), "account_revoked", "REPORT_BUILDER_AMC_CLIENT_ID"),
    ],
)
def test_a_hold_says_what_to_do(account_id: str, data: msgspec.Struct, reason: str, told: str) -> None:
    hold = account(data, account_id=account_id).hold
    assert hold is not None
    assert (hold.reason, hold.account_id, hold.since) == (reason, account_id, BEGAN + timedelta(seconds=1))
    assert told in hold.remedy


def test_every_region_has_addresses_of_its_own_over_tls() -> None:
    assert set(REGIONS) == set(get_args(Region))
    urls = [url for each in REGIONS.values() for url in (each.base_url, each.token_url)]
    assert len(set(urls)) == len(urls)
    assert all(url.startswith("https://") for url in urls)


def test_an_instance_is_its_last_change_for_those_that_it_lets() -> None:
    changed = instance.InstanceChanged(
        name="B", max_concurrent=2, retention_days=9, final_after_days=1, max_executions_per_day=3
    )
    events = recorded("instance-i", ADDED, instance.InstanceGranted("x"), instance.InstanceGranted("y"), changed,
                      instance.InstanceGrantRevoked("x"))  # fmt: skip
    state = instance_of(events)
    assert state.current == msgspec.structs.replace(ADDED, **msgspec.structs.asdict(changed))
    assert (state.version, state.team_id, state.granted_to) == (5, "t", frozenset({"y"}))
    assert [team for team in ("t", "x", "y", "") if state.lets(team)] == ["t", "y"]
    assert instance_of(events[:3]).lets("x")
    assert not instance_of([]).lets("")


def test_an_instance_that_was_added_before_there_were_accounts_has_the_one_of_the_settings() -> None:
    old = b'{"name":"A","advertiser_id":"E","marketplace_id":"M","time_zone":"UTC","max_concurrent":3}'
    added = msgspec.json.decode(old, type=InstanceAdded)
    assert (added.account_id, added.final_after_days, added.max_executions_per_day) == (DEFAULT, 14, None)
