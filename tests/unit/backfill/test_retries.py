"""When a failed attempt is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.backfill.retries import RetryPolicy, retry_delay

POLICY = RetryPolicy(max_attempts=5, base=10, cap=900)


def test_transient_failures_are_tried_up_to_the_limit() -> None:
    delays = [retry_delay(POLICY, "transient", attempt, chance=1.0) for attempt in range(1, 7)]
    assert delays == [10, 20, 40, 80, None, None]


def test_unknown_failures_are_tried_twice_in_all() -> None:
    assert retry_delay(POLICY, "unknown", 1, chance=1.0) == 10
    assert retry_delay(POLICY, "unknown", 2, chance=1.0) is None


def test_permanent_failures_are_never_tried_again() -> None:
    assert retry_delay(POLICY, "permanent", 1, chance=1.0) is None


def test_without_retries_one_attempt_is_all() -> None:
    policy = RetryPolicy(max_attempts=1, base=10, cap=900)
    assert retry_delay(policy, "transient", 1, chance=0.5) is None


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1), after=st.none() | st.floats(0, 1e6))
def test_the_wait_is_never_shorter_than_asked_nor_longer_than_the_cap(
    attempt: int, chance: float, after: float | None
) -> None:
    policy = RetryPolicy(max_attempts=20_000, base=10, cap=900)
    delay = retry_delay(policy, "transient", attempt, chance, after)
    assert delay is not None
    assert delay >= (after or 0)
    assert delay <= max(900, after or 0)
    assert delay >= 5
