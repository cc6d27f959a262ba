"""How fast a result's CSV becomes Parquet: ours beside DuckDB's own COPY of the same file, which checks no value and
keeps to no memory, and beside SHA-256 of the file, which no reader of it can do without.

Each contender runs in a process of its own, so that what it has held at most is its own; in turns, so that what else
runs on the machine meets all of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import msgspec

from events.types.segment import ResultColumn
from service.results.convert import csv_to_parquet
from tests.bench.lines import alone, beside
from tests.bench.place import Outcome, Place
from tests.bench.rounds import in_turns

COLUMNS = (
    ResultColumn("id", "LONG"), ResultColumn("user_key", "STRING"), ResultColumn("day", "DATE"),
    ResultColumn("moment", "TIMESTAMP"), ResultColumn("campaign", "STRING"),
    ResultColumn("spend", "DECIMAL", 12, 4), ResultColumn("share", "DOUBLE"),
)  # fmt: skip
TYPES = ("BIGINT", "VARCHAR", "DATE", "TIMESTAMP", "VARCHAR", "DECIMAL(12, 4)", "DOUBLE")
MAKE = """
COPY (SELECT n AS id, md5(n::VARCHAR) AS user_key, DATE '2025-01-01' + (n % 365)::INTEGER AS day,
             strftime(TIMESTAMP '2025-01-01' + to_seconds(n), '%Y-%m-%dT%H:%M:%S.%g') AS moment,
             CASE WHEN n % 10 > 0 THEN 'Campaign ' || n % 500 || ', Fall' END AS campaign,
             (n % 100000)::DECIMAL(12, 4) / 8 AS spend, random() AS share
        FROM range({rows}) AS t(n)) TO '{file}' (HEADER)
"""
ROW_BYTES = 125


def convert(file: Path) -> None:
    asyncio.run(csv_to_parquet([file], COLUMNS, file.with_name("ours.parquet")))


def copy(file: Path) -> None:
    columns = ", ".join(f"'{column.name}': '{kind}'" for column, kind in zip(COLUMNS, TYPES, strict=True))
    with duckdb.connect() as database:
        database.execute("SET enable_progress_bar = false")
        database.execute(
            f"COPY (SELECT * FROM read_csv('{file}', columns = {{{columns}}}, header = true, auto_detect = false))"
            f" TO '{file.with_name('theirs.parquet')}' (FORMAT parquet, COMPRESSION zstd)"
        )


def digest(file: Path) -> None:
    with file.open("rb") as content:
        hashlib.file_digest(content, "sha256")


OURS = "csv_to_parquet"
COPY = "DuckDB's COPY"
DIGEST = "SHA-256 of the file"
CONTENDERS: dict[str, Callable[[Path], None]] = {OURS: convert, COPY: copy, DIGEST: digest}


class Found(msgspec.Struct, frozen=True):
    """Megabytes of CSV a second, and how many megabytes the process has held at most."""

    rate: float
    held: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f} MB/s"


async def run(place: Place) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="report-builder-bench-", dir="/var/tmp") as folder:
        file = Path(folder) / "result.csv"
        with duckdb.connect() as database:
            database.execute("SET enable_progress_bar = false")
            rows = (50 if place.quick else 250) * 1_000_000 // ROW_BYTES
            database.execute(MAKE.format(rows=rows, file=file))
        found = await in_turns(
            "results",
            {name: partial(asyncio.to_thread, _in_own_process, name, file) for name in CONTENDERS},
            place.rounds,
        )
        size = file.stat().st_size / 1e6
    scenario = f"results, {size:.0f} MB of CSV"
    rates = {name: [each.rate for each in measured] for name, measured in found.items()}
    return Outcome(
        [
            *(
                beside(scenario, "to Parquet", "MB/s", rates[OURS], other, rates[other], better="more")
                for other in (COPY, DIGEST)
            ),
            alone(scenario, "memory", "MB", [each.held for each in found[OURS]], better="less"),
        ]
    )


def _in_own_process(name: str, file: Path) -> Found:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (name, file))


def _measure(name: str, file: Path) -> Found:
    started = time.perf_counter()
    CONTENDERS[name](file)
    seconds = time.perf_counter() - started
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return Found(file.stat().st_size / 1e6 / seconds, int(found[1]) / 1000)
