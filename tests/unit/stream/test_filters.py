"""What a filter lets through, and what a caller may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from service.auth.caller import Caller
from service.problems import Refused
from service.stream.filters import Events, filter_of

ME, OTHER = UUID(int=1), UUID(int=2)
CALLER = Caller("a", ME, frozenset({"events:read"}), ("a", "b"))
AUDITOR = Caller("a", ME, frozenset({"events:read", "audit:read"}), ("a",))


@dataclass
class Event:
    event_type: str = "segment.completed"
    stream: str = "segment-1"
    workflow_id: str | None = "w"
    user_id: UUID | None = ME
    team_id: str = "a"


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ({}, True),
        ({"type": ("segment.completed",)}, True),
        ({"type": ("segment",)}, False),
        ({"type": ("segment.failed",)}, False),
        ({"type": ("segment.*",)}, True),
        ({"type": ("segment.comp*",)}, True),
        ({"type": ("seg*nt.completed",)}, False),
        ({"type": ("report.*", "segment.completed")}, True),
        ({"type": ("report.*", "team.*")}, False),
        ({"type": ("*",)}, True),
        ({"stream": ("segment-1", "segment-2")}, True),
        ({"stream": ("segment-2",)}, False),
        ({"workflow": ("w",)}, True),
        ({"workflow": ("v",)}, False),
        ({"user": (ME,)}, True),
        ({"user": (OTHER,)}, False),
        ({"type": ("segment.*",), "workflow": ("v",)}, False),
        ({"team": ("a",)}, True),
        ({"team": ("b",)}, False),
        ({"team": ("a", "b")}, True),
    ],
)
def test_an_event_passes_where_it_equals_one_value_of_each_filter(query: dict[str, Any], passes: bool) -> None:
    event: Any = Event()
    assert filter_of(Events(**query), CALLER).passes(event) is passes


def test_an_event_without_user_or_workflow_passes_no_filter_by_them() -> None:
    event: Any = Event(workflow_id=None, user_id=None)
    assert filter_of(Events(), CALLER).passes(event)
    assert not filter_of(Events(workflow=("w",)), CALLER).passes(event)
    assert not filter_of(Events(user=(ME,)), CALLER).passes(event)


def test_without_more_the_team_that_the_request_is_for_is_read() -> None:
    assert filter_of(Events(), CALLER).teams == frozenset({"a"})


def test_other_teams_are_for_their_members_and_for_auditors() -> None:
    with pytest.raises(Refused, match="not in the team c") as refused:
        filter_of(Events(team=("a", "c")), CALLER)
    assert refused.value.code == "forbidden"
    with pytest.raises(Refused):
        filter_of(Events(all_teams=True), CALLER)
    with pytest.raises(Refused):
        filter_of(Events(team=("c",)), AUDITOR)
    assert filter_of(Events(all_teams=True), AUDITOR).teams is None
    assert filter_of(Events(all_teams=True, team=("c",)), AUDITOR).teams == frozenset({"c"})


def test_equal_filters_are_one_key() -> None:
    first = filter_of(Events(type=("b.*", "a.*", "x.y"), user=(ME, OTHER)), CALLER)
    second = filter_of(Events(type=("x.y", "a.*", "b.*"), user=(OTHER, ME)), CALLER)
    assert first == second
    assert hash(first) == hash(second)
    assert first != filter_of(Events(type=("x.y",)), CALLER)
