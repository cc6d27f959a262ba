"""Faults on purpose: which request or execution goes wrong is decided by counters and a seed alone."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Every = Annotated[int, Meta(ge=0)]
Rate = Annotated[float, Meta(ge=0, le=1)]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong; zero, empty and false mean never. `PUT /sandbox/faults` replaces all of it."""

    drop_every: Every = 0
    """Every n-th create of an execution acts, then the connection closes without an answer."""
    drop_every_any: Every = 0
    """The same for every n-th API request of any kind."""
    error_rate: Rate = 0
    """Share of API requests answered 500."""
    errors_act: bool = False
    """A request answered 500 was carried out all the same."""
    throttle_rate: Rate = 0
    """Share of API requests answered 429."""
    retry_after: Annotated[float, Meta(ge=0)] | None = None
    """Seconds sent as `Retry-After` with 429s; absent: the header is left out."""
    retry_after_share: Rate = 1
    """Share of the 429s that say so."""
    expire_tokens_every: Every = 0
    """Every n-th API request finds its token expired: 401."""
    revoked: bool = False
    """Token refresh answers `invalid_grant`."""
    revoked_tokens: tuple[str, ...] = ()
    """Refresh tokens whose user has taken the consent back: no refresh, and 401 for what was issued with them."""
    echo_secrets: bool = False
    """Refused refreshes and 401s repeat in their text what they were sent."""

    expire_urls_every: Every = 0
    """Every n-th request for a result file finds its address ended: 403."""
    break_downloads_every: Every = 0
    """Every n-th request for a result file is cut off in the middle of what it asked for."""
    shorten_downloads_every: Every = 0
    """Every n-th request for a result file is answered with a part of it, without a length, as if it were all."""
    page_every: Every = 0
    """Every n-th request for a result file is answered with a page, and 200."""
    cut_at: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    """Where the two before cut."""
    wrong_parts: Literal["none", "header", "no_header", "cut"] = "none"
    """The last of the files is wrong as AMC has made it: other names, no header, or a last line cut short."""

    reject_sql_matching: str = ""
    """Workflows whose SQL holds this pattern end REJECTED."""
    reject_reason: str = "SQL query was invalid: From line 1, column 1 to line 1, column 6: Object not found"
    compile_errors_at_create: bool = False
    """SQL errors answer the create with 400 instead of ending the execution later."""
    refuse_cancels: bool = False
    """A cancellation is answered 403, and the execution goes on."""
    fail_rate: Rate = 0
    """Share of (workflow, window, attempt) that ends badly."""
    fail_windows: tuple[date, ...] = ()
    """Local dates of window starts whose executions end badly."""
    fail_times: Annotated[int, Meta(ge=1)] | None = None
    """Only the first n attempts at the same workflow and window end badly; absent: all."""
    fail_status: Literal["FAILED", "REJECTED"] = "FAILED"
    fail_reason: str = "Workflow execution failed due to an internal error."

    def __post_init__(self) -> None:
        try:
            re.compile(self.reject_sql_matching)
        except re.error as error:
            raise ValueError(f"reject_sql_matching is not a pattern: {error}") from None


class FaultPlan:
    """The faults in force, with the counters and the random numbers that pick their victims."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._seed = seed
        self.set(faults)

    def set(self, faults: Faults) -> None:
        """Puts other faults in force and starts every counter again."""
        self.faults = faults
        self._counts: Counter[str] = Counter()
        self._random = random.Random(self._seed)  # noqa: S311 - faults, not secrets

    def token_expires(self) -> bool:
        """Whether this request finds its token expired."""
        return self._nth("expire", self.faults.expire_tokens_every)

    def throttles(self) -> bool:
        """Whether this request is answered 429 although the rate allows it."""
        return self._share(self.faults.throttle_rate)

    def retry_after(self) -> float | None:
        """What this 429 says as `Retry-After`."""
        share = self.faults.retry_after_share
        return self.faults.retry_after if share == 1 or self._share(share) else None

    def breaks(self) -> bool:
        """Whether this request is answered 500."""
        return self._share(self.faults.error_rate)

    def drops(self, creates_execution: bool) -> bool:
        """Whether this request, carried out, gets no answer."""
        any_request = self._nth("any", self.faults.drop_every_any)
        create = creates_execution and self._nth("create", self.faults.drop_every)
        return any_request or create

    def url_expires(self) -> bool:
        """Whether this download finds its address ended."""
        return self._nth("url", self.faults.expire_urls_every)

    def breaks_download(self) -> bool:
        """Whether this download is cut off."""
        return self._nth("break", self.faults.break_downloads_every)

    def shortens_download(self) -> bool:
        """Whether this download ends early, and does not say so."""
        return self._nth("shorten", self.faults.shorten_downloads_every)

    def answers_page(self) -> bool:
        """Whether this download is answered with a page."""
        return self._nth("page", self.faults.page_every)

    def rejects(self, sql: str) -> bool:
        """Whether a workflow with this SQL ends REJECTED."""
        pattern = self.faults.reject_sql_matching
        return bool(pattern) and re.search(pattern, sql) is not None

    def fails(self, workflow_id: str, window_start: str, attempt: int) -> bool:
        """Whether this attempt (1 is the first) at a workflow and window ends badly."""
        faults = self.faults
        if faults.fail_times is not None and attempt > faults.fail_times:
            return False
        if any(window_start.startswith(day.isoformat()) for day in faults.fail_windows):
            return True
        # A hash instead of the random numbers: the order in which executions come changes nothing.
        name = f"{self._seed} {workflow_id} {window_start} {attempt}".encode()
        drawn = int.from_bytes(hashlib.sha256(name).digest()[:8], "big") / 2**64
        return drawn < faults.fail_rate

    def _nth(self, counter: str, every: int) -> bool:
        if not every:
            return False
        self._counts[counter] += 1
        return self._counts[counter] % every == 0

    def _share(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate
