"""Fixtures that all tests share. PostgreSQL, HTTP and the sandbox are real."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from db.pool import Pool, open_pool
from tests import published
from tests.postgres import Database, Server, start_server
from tests.rabbitmq import RabbitNode, shared_node

# Machines are shared: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("ours", deadline=None)
hypothesis.settings.load_profile("ours")

# What the machine lacks, as scripts/with-services found it; taken out of the environment, where only
# settings may begin with our prefix. The script names it last and fails, so nothing is left out silently.
WITHOUT = frozenset(filter(None, os.environ.pop("REPORT_BUILDER_TEST_WITHOUT", "").split(",")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests that need what the machine lacks, by their markers."""
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in WITHOUT)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Notes how many examples a property was held against, and which events were held against their schemas; oracles
    note theirs by `record_property`."""
    told = getattr(item, "hypothesis_statistics", None)
    if told and call.when == "call":
        item.user_properties.append(("cases", sum(map(int, re.findall(r"(\d+) passing,", told)))))
    if call.when == "teardown" and published.SEEN:
        item.user_properties.append(("events", dict(published.SEEN)))
        published.SEEN.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many cases the tests of properties and oracles ran, by file, and which events no test has seen."""
    files: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "cases":
                files[report.nodeid.partition("::")[0]] += value
    if files:
        terminalreporter.section(f"{files.total():,} cases of properties and oracles")
        for file, count in files.most_common():
            terminalreporter.write_line(f"{count:>12,}  {file}")

    seen: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                for name, value in report.user_properties:
                    seen.update(value if name == "events" else {})
    if seen:
        terminalreporter.write_line(published.summary(seen))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    # Not below pytest's own folder: the server runs as another user there, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-postgres-", dir=_place_of_databases()))
    server, postgres = start_server(folder / "data", durable=False)
    yield server
    asyncio.run(postgres.stop())
    shutil.rmtree(folder, ignore_errors=True)


def _place_of_databases() -> str:
    """In memory, where there is enough. A database is 1,400 files, and ext4 looks for the number of a new file among
    those of all that were deleted in the last seconds: that was a quarter of the tests' processor time."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 1024**3
    return str(memory) if roomy else "/var/tmp"


@pytest.fixture
async def database(postgres_server: Server) -> AsyncIterator[Database]:
    """A fresh, migrated database."""
    async with postgres_server.fresh_database() as database:
        yield database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections as the service's own role."""
    pool = await open_pool(database.service_url)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def rabbit() -> RabbitNode:
    """A RabbitMQ node for all tests that leave it whole: each names queues of its own."""
    return shared_node()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder for processes that run an embedded PostgreSQL in it."""
    yield from _open_folder()


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    """The same, once for a module."""
    yield from _open_folder()


def _open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="report-builder-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
