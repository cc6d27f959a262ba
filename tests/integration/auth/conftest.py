"""The service behind its door, and an issuer that it trusts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
import pytest_asyncio

from db.clock import DatabaseClock
from service.roles import Role
from tests.postgres import Database, Server
from tests.provider import Provider, running_provider
from tests.service import Service, serving, settings_for

ROLES: tuple[Role, ...] = ("api", "projector")


class Start(Protocol):
    """Starts API and projector with these settings."""

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Service]: ...


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer() -> AsyncIterator[Provider]:
    """An issuer for a module whose tests leave it as it is."""
    async with running_provider() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(
    postgres_server: Server, issuer: Provider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service that takes the issuer's tokens, for the same module."""
    async with postgres_server.fresh_database() as database:
        settings = settings_for(database, tmp_path_factory.mktemp("data"))
        async with serving(msgspec.structs.replace(settings, auth_issuer=issuer.issuer), ROLES) as service:
            yield service


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """An issuer for one test, to do with as it likes."""
    async with running_provider() as provider:
        yield provider


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Start:
    def start(**settings: Any) -> AbstractAsyncContextManager[Service]:
        return serving(msgspec.structs.replace(settings_for(database, tmp_path), **settings), ROLES)

    return start


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the database's clock, as the door reads it, by so many seconds."""

    def move(seconds: float) -> None:
        monkeypatch.setattr(DatabaseClock, "now", lambda clock: time.time() + seconds)

    return move
