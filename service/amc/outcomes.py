"""What an execution that ended badly means for the next attempt: read from its status and reason."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

OVERLAP_WAIT = 24 * 3600.0
"""Seconds before a run that AMC refused for overlapping runs is tried again."""

_OVERLAP = re.compile(r"too many workflows have already been run", re.IGNORECASE)
_TIMEOUT = re.compile(r"timed[ -]?out|time[ -]?out\b|exceeded .{0,40}(time|duration)", re.IGNORECASE)
_SQL = re.compile(
    r"""compil | pars(e|er|ing)\b | syntax | encountered\s+" | from\ line\ \d+ | \bat\ line\ \d+
      | (object|column|table|function|field)\b.{0,120}\b(not\ found|does\ not\ exist|ambiguous)
      | no\ match\ found\ for\ function | sql\ query\ was\ invalid | invalid\ (sql|query)
      | parameter | not\ supported | unsupported | (select\ \*|limit|order\ by)\b.{0,60}\bnot\b
      | cannot\ (apply|cast|convert) | conversion\ error | output\ ?columns?\b.{0,60}\bmatch""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """How to go on after an execution that ended without a result.

    `permanent`: the same SQL and parameters fail again. `overlap`: AMC's privacy refusal; wait
    `retry_after` seconds, then try `retries` times. `timeout`: a shorter window may pass. `cancelled`:
    somebody stopped it. `unknown`: AMC's text says nothing that we know.
    """

    code: Literal["permanent", "overlap", "timeout", "cancelled", "unknown"]
    reason: str
    retries: int | None = None
    """How often to try again because of this; None: as the caller's policy for the code says."""
    retry_after: float | None = None


def failure_of(status: str, reason: str) -> Failure | None:
    """The failure that a final `status` with AMC's `reason` stands for; None for any other status."""
    if status == "CANCELLED":
        return Failure(code="cancelled", reason=reason or "cancelled", retries=0)
    if status not in {"FAILED", "REJECTED"}:
        return None
    text = reason or f"AMC gave no reason for {status}"
    if _OVERLAP.search(reason):
        return Failure(code="overlap", reason=text, retries=1, retry_after=OVERLAP_WAIT)
    # A time-out may quote the SQL's names, so its own words are looked for first.
    if _TIMEOUT.search(reason):
        return Failure(code="timeout", reason=text)
    if _SQL.search(reason):
        return Failure(code="permanent", reason=text, retries=0)
    return Failure(code="unknown", reason=text)
