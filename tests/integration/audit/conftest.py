"""The service over HTTP, and a long log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.long_log import fill_log
from tests.postgres import Database, Server
from tests.service import api as api
from tests.service import become as become

EVENTS = 100_000


@pytest.fixture(scope="session")
def long_log(postgres_server: Server) -> Iterator[Database]:
    """A log of 100,000 events, for tests that change nothing in it."""
    with asyncio.Runner() as runner:
        fresh = postgres_server.fresh_database()
        database = runner.run(fresh.__aenter__())
        runner.run(fill_log(database, EVENTS))
        yield database
        runner.run(fresh.__aexit__(None, None, None))
