"""Every setting of the sandbox with its default; durations are seconds of real time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec

from service.amc.sandbox.faults import Faults


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """A table out of a CSV, CSV.gz or Parquet file.

    `date_column` decides what a window holds: dates compare with the window's local dates, timestamps
    (UTC) with its instants.
    """

    name: str
    path: Path
    date_column: str


class SandboxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a sandbox is set up. Everything here is fixed while it runs; `faults` are only the first ones."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""

    tables: tuple[TableFile, ...] = ()
    shift_dates: bool = False
    """Moves each file's days by whole days so that its last one is yesterday."""
    today: date | None = None
    """The UTC day that counts as today; absent: the real one, or that of `clock_url`."""
    clock_url: str | None = None
    """Where a clock is read that others keep (`{"now": …, "speed": …}`): as its day changes, shifted and generated
    tables move along."""
    generated: bool = False
    """Adds generated tables shaped like AMC's, see `generated.py`."""
    min_users: int = 0
    """Rows over fewer distinct `user_id` are left out, as AMC's aggregation thresholds do; 0: off."""

    instances: tuple[str, ...] = ("amcsandbox1", "amcsandbox2")
    strict_instances: bool = False
    """Answers 403 for other instances; otherwise any id is an instance."""
    advertiser_id: str = "ENTITYSANDBOX1"
    marketplace_id: str = "ATVPDKIKX0DER"
    refresh_token: str | None = None
    """The only refresh token that is good; absent: any."""
    token_seconds: int = 3600

    pending_seconds: float = 0
    running_seconds: float = 0
    max_concurrent: int = 10
    """Executions of an instance that are RUNNING at once; more stay PENDING."""
    requests_per_second: float = 1000
    burst: int | None = None
    """Requests that may come at once; absent: as many as a second allows."""
    threads: int = 2

    state_dir: Path | None = None
    """Keeps workflows, executions and results through a kill; absent: all is gone with the process."""
    url_seconds: float = 600
    result_files: int = 1
    """Files that a result is split over, each with its header row; AMC makes 5 at most."""
    gzip_results: bool = False

    faults: Faults = Faults()
    seed: int = 1
