"""A run that is due while an earlier one is not done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.schedules.overlap import Decision, OverlapPolicy, may_start_waiting, overlap

POLICIES: tuple[OverlapPolicy, ...] = ("queue", "skip", "allow")


@pytest.mark.parametrize(
    ("policy", "running", "waiting", "decision"),
    [
        ("queue", 0, 0, "start"),
        ("queue", 1, 0, "wait"),
        ("queue", 1, 1, "replace"),
        ("queue", 3, 0, "wait"),
        ("queue", 0, 1, "replace"),
        ("skip", 0, 0, "start"),
        ("skip", 1, 0, "skip"),
        ("skip", 1, 1, "skip"),
        ("skip", 0, 1, "skip"),
        ("allow", 0, 0, "start"),
        ("allow", 5, 0, "start"),
        ("allow", 5, 1, "start"),
    ],
)
def test_what_a_due_run_does(policy: OverlapPolicy, running: int, waiting: int, decision: Decision) -> None:
    assert overlap(policy, running, waiting) == decision


def test_the_waiting_run_starts_when_nothing_runs_or_all_may() -> None:
    assert [may_start_waiting(policy, 0) for policy in POLICIES] == [True, True, True]
    assert [may_start_waiting(policy, 1) for policy in POLICIES] == [False, False, True]


@given(st.lists(st.tuples(st.sampled_from(["due", "done"]), st.sampled_from(POLICIES))))
def test_at_most_one_waits_and_each_run_starts_is_skipped_is_replaced_or_waits(
    story: list[tuple[str, OverlapPolicy]],
) -> None:
    running = waiting = due = started = dropped = 0
    for happens, policy in story:
        if happens == "done":
            running = max(running - 1, 0)
        else:
            due += 1
            decision = overlap(policy, running, waiting)
            started, running = started + (decision == "start"), running + (decision == "start")
            waiting += decision == "wait"
            dropped += decision in ("replace", "skip")
            assert decision != "start" or policy == "allow" or running == 1
        if waiting and may_start_waiting(policy, running):
            waiting, running, started = 0, running + 1, started + 1
        assert waiting <= 1
        assert started + dropped + waiting == due
