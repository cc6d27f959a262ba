"""Connections to PostgreSQL: how the service opens them, and what it refuses to run as."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import asyncpg

if TYPE_CHECKING:  # asyncpg's classes take a type only in its stubs
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    OwnConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Connection: TypeAlias = OwnConnection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    OwnConnection = Connection = asyncpg.Connection


class DatabaseRefused(Exception):
    """The database, or the role that the service has on it, is not fit to run on; the message says why."""


async def open_pool(url: str, *, size: int = 10, name: str = "report-builder") -> Pool:
    """A pool of at most `size` connections that names itself `name` in pg_stat_activity.

    Time-outs hold on the server too: a statement ends after 60 s, an idle transaction after 30 s, so that a
    frozen process cannot keep a lock or a snapshot.
    """
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        command_timeout=60,
        server_settings={
            "application_name": name,
            "statement_timeout": "60s",
            "idle_in_transaction_session_timeout": "30s",
            "timezone": "UTC",
        },
    )


async def refuse_unfit_role(connection: Connection) -> None:
    """Raises DatabaseRefused where the role could alter the log: superuser, or (a member of) its owner."""
    row = await connection.fetchrow(
        """
        SELECT current_user AS name, r.rolsuper AS superuser,
               EXISTS (SELECT FROM pg_class c
                        WHERE c.oid = to_regclass('public.report_builder_audit')
                          AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owner
          FROM pg_roles r WHERE r.rolname = current_user
        """
    )
    assert row is not None
    if row["superuser"] or row["owner"]:
        kind = "a superuser" if row["superuser"] else "an owner of the log"
        raise DatabaseRefused(
            f"The role {row['name']!r} of REPORT_BUILDER_DATABASE_URL is {kind}, who could alter the audit log. "
            "Name a plain login role there; `report-builder migrate up` with "
            "REPORT_BUILDER_DATABASE_ADMIN_URL creates it and gives it what it needs."
        )
