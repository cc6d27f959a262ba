"""`report-builder migrate`: the database's schema."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import asyncpg
import click

from db.embedded import EmbeddedPostgres
from db.migrations import migrate_down, migrate_up, migration_status
from service.cli.start import start
from service.settings import Settings, SettingsError, read_settings


@click.group()
def migrate() -> None:
    """Bring the database's schema up, down, or say where it stands.

    REPORT_BUILDER_DATABASE_ADMIN_URL names a role that may create roles and tables; without it the
    embedded database is meant.
    """


@contextlib.asynccontextmanager
async def _admin(settings: Settings) -> Any:
    """The addresses for migrations: the administrator's, and the service's (null where none is named)."""
    if settings.database_admin_url:
        yield settings.database_admin_url, settings.database_url
    elif settings.database_url:
        raise SettingsError("REPORT_BUILDER_DATABASE_ADMIN_URL is needed to change the database's schema")
    else:
        postgres = EmbeddedPostgres(settings.data_dir / "postgres")
        await postgres.start()
        try:
            yield postgres.admin_url, postgres.service_url
        finally:
            await postgres.stop()


@migrate.command("up")
def migrate_up_command() -> None:
    """Apply what is missing; a second call changes nothing."""

    async def work() -> list[str]:
        async with _admin(read_settings()) as (admin_url, service_url):
            return await migrate_up(admin_url, service_url=service_url)

    for line in start(work()) or ["nothing to do: the schema is up to date"]:
        click.echo(line)


@migrate.command("down")
@click.option("--to", default=0, show_default=True, help="The number of the last migration to keep.")
@click.option("--yes", is_flag=True, help="Do not ask before events are deleted.")
def migrate_down_command(to: int, yes: bool) -> None:
    """Take migrations back, newest first; by default all of them, with the log and everything else."""

    async def events(admin_url: str) -> int:
        connection = await asyncpg.connect(admin_url)
        try:
            if await connection.fetchval("SELECT to_regclass('public.report_builder_audit')") is None:
                return 0
            return int(await connection.fetchval("SELECT count(*) FROM report_builder_audit"))
        finally:
            await connection.close()

    async def work() -> list[str]:
        async with _admin(read_settings()) as (admin_url, _):
            if to < 1 and not yes and (count := await events(admin_url)):
                if not sys.stdin.isatty():
                    raise SettingsError(f"this deletes the log with its {count} events; repeat it with --yes")
                await asyncio.to_thread(click.confirm, f"Delete the log with its {count} events?", abort=True)
            return await migrate_down(admin_url, to=to)

    for line in start(work()) or ["nothing to do"]:
        click.echo(line)


@migrate.command("status")
def migrate_status_command() -> None:
    """Say which migrations are applied; exit code 1 where any is missing."""

    async def work() -> list[tuple[str, bool]]:
        async with _admin(read_settings()) as (admin_url, _):
            status = await migration_status(admin_url)
            return [(f"{migration.number:04} {migration.name}", applied) for migration, applied in status]

    status = start(work())
    for name, applied in status:
        click.echo(f"{'applied' if applied else 'missing'}  {name}")
    if not all(applied for _, applied in status):
        sys.exit(1)
