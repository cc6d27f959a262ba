"""Whether a failed attempt is tried again, and when. Pure: chance comes in as a number."""

from __future__ import annotations

import msgspec

from events.types.segment import ErrorKind

UNKNOWN_ATTEMPTS = 2


class RetryPolicy(msgspec.Struct, frozen=True):
    """`base` and `cap` in seconds: the first wait, doubled with each attempt, up to the cap."""

    max_attempts: int
    base: float
    cap: float


def retry_delay(
    policy: RetryPolicy, kind: ErrorKind, attempt: int, chance: float, retry_after: float | None = None
) -> float | None:
    """Seconds until the next attempt; None where there is none.

    Transient failures are tried up to `max_attempts` times in all, unknown ones twice, permanent ones never.
    `chance`, 0 to 1, spreads the wait over its upper half, so that many failures do not come back at once.
    Amazon's `retry_after` is never undercut.
    """
    allowed = {"transient": policy.max_attempts, "unknown": min(policy.max_attempts, UNKNOWN_ATTEMPTS)}.get(kind, 1)
    if attempt >= allowed:
        return None
    wait = min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 30))
    return max(wait * (0.5 + chance / 2), retry_after or 0.0)
