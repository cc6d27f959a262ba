"""Policies: so many requests of one person in any window of so many seconds, and how answers say so."""

from __future__ import annotations

import math

import msgspec

from service.settings import Settings


class Policy(msgspec.Struct, frozen=True):
    """At most `quota` requests of one person in any `window` seconds."""

    name: str
    quota: int
    window: int

    @property
    def key(self) -> str:
        """What its counts are kept under: with another window they mean something else."""
        return f"{self.name}/{self.window}"


class Standing(msgspec.Struct, frozen=True):
    """Where a person stands after a request: `remaining` requests are left for the next `seconds`, when the
    oldest ones that count are forgotten. `refused`: this one was too many."""

    policy: Policy
    remaining: int
    seconds: float
    refused: bool = False

    @property
    def whole_seconds(self) -> int:
        """Rounded up, so that who waits so long finds a request free."""
        return max(1, math.ceil(self.seconds))


def policies_of(settings: Settings) -> tuple[Policy | None, Policy | None]:
    """Those of reads and of writes; None for one that is off."""

    def policy(name: str, quota: int) -> Policy | None:
        return Policy(name, quota, settings.rate_window) if quota else None

    return policy("reads", settings.rate_reads), policy("writes", settings.rate_writes)


def headers_of(standing: Standing) -> list[tuple[bytes, bytes]]:
    """`RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, as structured fields."""
    policy = standing.policy
    return [
        (b"ratelimit-policy", f'"{policy.name}";q={policy.quota};w={policy.window}'.encode()),
        (b"ratelimit", f'"{policy.name}";r={standing.remaining};t={standing.whole_seconds}'.encode()),
    ]
