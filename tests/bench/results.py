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
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import duckdb
import msgspec

from events.types.segment import ResultColumn
from service.results.convert import csv_to_parquet

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


class Contender(msgspec.Struct, frozen=True):
    """Megabytes of CSV a second, the median and the edges; `ratio` is ours to theirs, the median of the rounds' own;
    `held` is how many megabytes the process held at most."""

    name: str
    median: float
    slowest: float
    fastest: float
    ratio: float
    held: float


class Results(msgspec.Struct, frozen=True):
    contenders: list[Contender]
    megabytes: float
    rounds: int


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


OURS = "CSV to Parquet, ours"
CONTENDERS: dict[str, Callable[[Path], None]] = {OURS: convert, "DuckDB's COPY": copy, "SHA-256": digest}


def run(megabytes: int, rounds: int) -> Results:
    """Says on standard error what it is doing."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    held: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory(prefix="report-builder-bench-", dir="/var/tmp") as folder:
        file = Path(folder) / "result.csv"
        with duckdb.connect() as database:
            database.execute("SET enable_progress_bar = false")
            database.execute(MAKE.format(rows=megabytes * 1_000_000 // ROW_BYTES, file=file))
        size = file.stat().st_size / 1e6
        for number in range(rounds):
            for name in CONTENDERS:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    took, most = pool.apply(_measure, (name, file))
                seconds[name].append(took)
                held[name].append(most)
                print(f"round {number + 1}/{rounds}  {name}: {size / took:,.0f} MB/s", file=sys.stderr, flush=True)
    contenders = [
        Contender(
            name=name,
            median=size / median(times),
            slowest=size / max(times),
            fastest=size / min(times),
            ratio=median(theirs / ours for ours, theirs in zip(seconds[OURS], times, strict=True)),
            held=max(held[name]),
        )
        for name, times in seconds.items()
    ]
    return Results(contenders, size, rounds)


def _measure(name: str, file: Path) -> tuple[float, float]:
    """Seconds, and the megabytes that this process has held at most."""
    started = time.perf_counter()
    CONTENDERS[name](file)
    took = time.perf_counter() - started
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return took, int(found[1]) / 1000


def table(results: Results) -> str:
    """For people."""
    lines = [
        f"A result of {results.megabytes:,.0f} MB, medians of {results.rounds} rounds in turns",
        "",
        f"{'MB/s':26}{'median':>9}{'min':>9}{'max':>9}{'ours is':>10}{'MB held':>10}",
    ]
    for each in results.contenders:
        ratio = "" if each.name == OURS else f"{each.ratio:.2f} ×"
        lines.append(
            f"{each.name:26}{each.median:9,.0f}{each.slowest:9,.0f}{each.fastest:9,.0f}{ratio:>10}{each.held:10,.0f}"
        )
    return "\n".join(lines)
