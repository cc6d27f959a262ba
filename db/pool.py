"""Connections to PostgreSQL: how the service opens them, and what it refuses to run as."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

if TYPE_CHECKING:  # asyncpg's classes take a type only in its stubs
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    OwnConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Connection: TypeAlias = OwnConnection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    OwnConnection = Connection = asyncpg.Connection


# What a statement may raise while the database goes away and comes back; for loops that try again.
DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A backend that ends in the middle of an answer can leave asyncpg's own state machine between two states.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


# Of these, the ones that say nothing about the statement: the same one may pass when the database is back.
DATABASE_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class DatabaseRefused(Exception):
    """The database, or the role that the service has on it, is not fit to run on; the message says why."""


async def open_pool(url: str, *, size: int = 10, name: str = "report-builder") -> Pool:
    """A pool of at most `size` connections that names itself `name` in pg_stat_activity.

    Time-outs hold on the server too: a statement ends after 60 s, an idle transaction after 30 s, so that a
    frozen process cannot keep a lock or a snapshot.
    """
    return await _Pool(
        url,
        min_size=1,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        command_timeout=60,
        server_settings={
            "application_name": name,
            "statement_timeout": "60s",
            "idle_in_transaction_session_timeout": "30s",
            "timezone": "UTC",
        },
    )


class _Pool(Pool):
    """Resets a connection that comes back only where it must. asyncpg's own reset is a round trip after every
    statement, for session state that nothing here leaves behind. But who leaves by an exception may have left a
    statement between its two messages to the server, as a cancelled request does: the server then waits for the
    second one, and keeps the statement's locks, until it hears of the connection again."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, reset=self._reset, **settings)
        self._left_by_exception: set[int] = set()

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:
        if sys.exc_info()[0] is not None:
            self._left_by_exception.add(connection.get_server_pid())
        await super().release(connection, timeout=timeout)

    async def _reset(self, connection: Connection) -> None:
        unsure = connection.get_server_pid() in self._left_by_exception
        self._left_by_exception.discard(connection.get_server_pid())
        if unsure or connection.is_in_transaction():
            await connection.reset()


def end_if_cancelled(error: Exception) -> None:
    """For loops that outlive a lost connection: where the task was cancelled, ends it instead of going on.

    A pool that takes back a dead connection raises its own error, and the CancelledError that was on its way
    is gone; a loop that caught the one would never hear of the other.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


# What a role could change the log by, besides the rights that `migrate` gives; the first that holds is named.
# A schema's owner may drop its tables; a function that somebody plants there would run as the log's owner.
_UNFIT = {
    "is (a member of) a superuser": """
        EXISTS (SELECT FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')
                   AND (rolsuper OR rolname IN ('pg_execute_server_program', 'pg_write_server_files')))""",
    "is (a member of) an owner of the log": """
        EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('public.report_builder_audit')
                   AND pg_has_role(session_user, relowner, 'MEMBER'))""",
    "is (a member of) the owner of the database or of its schema public": """
        EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public'
                   AND pg_has_role(session_user, nspowner, 'MEMBER'))
        OR EXISTS (SELECT FROM pg_database WHERE datname = current_database()
                      AND pg_has_role(session_user, datdba, 'MEMBER'))""",
    "may grant itself other roles (CREATEROLE)": """
        EXISTS (SELECT FROM pg_roles WHERE rolcreaterole AND pg_has_role(session_user, oid, 'MEMBER'))""",
    "may write to the log's table": """
        has_table_privilege(session_user, to_regclass('public.report_builder_audit'),
                            'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        OR pg_has_role(session_user, 'pg_write_all_data', 'MEMBER')""",
    "may create objects in the schema public": "has_schema_privilege(session_user, 'public', 'CREATE')",
}


async def refuse_unfit_role(connection: Connection) -> None:
    """Raises DatabaseRefused where the role could alter the log, or make itself one that can."""
    tests = ", ".join(f"({test}) IS TRUE" for test in _UNFIT.values())
    row = await connection.fetchrow(f"SELECT session_user, {tests}")
    assert row is not None
    name, *unfit = row
    if reasons := [reason for reason, holds in zip(_UNFIT, unfit, strict=True) if holds]:
        raise DatabaseRefused(
            f"The role {name!r} of REPORT_BUILDER_DATABASE_URL {reasons[0]}, and so could alter the audit log. "
            "Name a plain login role there; `report-builder migrate up` with "
            "REPORT_BUILDER_DATABASE_ADMIN_URL creates it and gives it what it needs."
        )
