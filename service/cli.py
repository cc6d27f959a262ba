"""`report-builder`: the program's commands."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar, get_args

import asyncpg
import click

from db.embedded import EmbeddedPostgres, EmbeddedPostgresFailed
from db.migrations import MigrationError, migrate_down, migrate_up, migration_status
from db.pool import DatabaseRefused
from projections.rebuild import rebuild as rebuild_projections
from service.amc.command_line import accounts
from service.amc.sandbox.faults import Faults
from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import serve as serve_sandbox
from service.api_client import ApiRefused
from service.auth.caller import SCOPES, Scope
from service.auth.codes import LIFETIME
from service.auth.door import own_key_file
from service.auth.own_key import OwnKey, own_claims
from service.bootstrap import ROLES, Role, database_url, running
from service.clock_cli import clock
from service.data_collections.cli import collections
from service.demo import DemoFailed, DemoOptions, run_demo
from service.letters.cli import dead_letters
from service.logs import configure_logs
from service.schedules.cli import schedules
from service.settings import Settings, SettingsError, read_settings

Result = TypeVar("Result")

KNOWN_ERRORS = (
    SettingsError,
    ApiRefused,
    DatabaseRefused,
    EmbeddedPostgresFailed,
    MigrationError,
    DemoFailed,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)


def main() -> None:
    """Entry point: an error with a remedy is one sentence on standard error and exit code 1."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except KNOWN_ERRORS as error:
        click.echo(f"report-builder: {error}", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Configures, schedules and backfills Amazon Marketing Cloud reports.

    Settings are environment variables REPORT_BUILDER_*, listed in docs/settings.md.
    """


cli.add_command(accounts)


@cli.command()
@click.option("--roles", default="all", help=f"Comma-separated: {', '.join(ROLES)}; or all.")
def run(roles: str) -> None:
    """Run the service; SIGTERM or Ctrl-C drains it, a second one ends it at once."""
    wanted = list(ROLES) if roles == "all" else [role.strip() for role in roles.split(",")]
    if strangers := [role for role in wanted if role not in get_args(Role)]:
        raise click.BadParameter(f"no such role: {', '.join(strangers)}; there are {', '.join(ROLES)}, all")
    settings = read_settings()
    configure_logs(settings.log_level)
    _start(_run(settings, wanted))  # type: ignore[arg-type]


async def _run(settings: Settings, roles: list[Role]) -> None:
    stop = stop_on_signals()
    async with running(settings, roles) as program:
        if program.api_url:
            click.echo(f"report-builder serves on {program.api_url}", err=True)
        if program.sign_in_url:
            click.echo(f"sign in, once and within {LIFETIME / 60:.0f} minutes: {program.sign_in_url}", err=True)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((stopped, program.failed), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    if program.failed.done():
        program.failed.result()


def stop_on_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)  # not KeyboardInterrupt, which begins to tidy up again

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first, number)
    return stop


@cli.command()
@click.option("--once", is_flag=True, help="End when the sample backfill is complete.")
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV or Parquet file of your own.",
)
@click.option("--segmentation", type=click.Choice(["daily", "weekly", "monthly"]), default="weekly", show_default=True)
@click.option("--port", type=int, default=None, help="Port of the API; 8080 unless set.")
def demo(once: bool, data: Path | None, segmentation: str, port: int | None) -> None:
    """Run everything on embedded parts, with a sample backfill against the AMC sandbox."""
    configure_logs("error")  # the terminal belongs to the progress
    options = DemoOptions(once=once, data=data, segmentation=segmentation, port=port)

    async def work() -> None:
        await run_demo(read_settings(), options, stop_on_signals())

    _start(work())


@cli.command()
@click.option("--subject", default="local", show_default=True, help="Whose it is; another name is another user.")
@click.option("--scopes", default=",".join(get_args(Scope)), show_default=True, help="Comma-separated.")
@click.option("--team", "teams", multiple=True, default=["local"], show_default=True, help="May be repeated.")
@click.option("--expires", default="12h", show_default=True, metavar="90m|12h|30d", help="For how long it is valid.")
def token(subject: str, scopes: str, teams: tuple[str, ...], expires: str) -> None:
    """Print a bearer token for a program, signed with the service's own key.

    The service takes it on loopback without an issuer, and elsewhere with REPORT_BUILDER_AUTH_OWN_KEYS=true.
    """
    named = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    if strangers := [scope for scope in named if scope not in SCOPES]:
        message = f"no such scope: {', '.join(strangers)}; there are {', '.join(get_args(Scope))}"
        raise click.BadParameter(message, param_hint="--scopes")
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", expires)
    if found is None:
        raise click.BadParameter(f"{expires!r} is not a time such as 90m, 12h or 30d", param_hint="--expires")
    settings = read_settings()
    if settings.auth_issuer is not None and not settings.auth_own_keys:
        raise SettingsError(
            "tokens come from REPORT_BUILDER_AUTH_ISSUER; with REPORT_BUILDER_AUTH_OWN_KEYS=true the service takes"
            " its own too"
        )
    now = int(time.time())
    claims = own_claims(
        subject=subject,
        teams=teams,
        team_claim=settings.auth_team_claim,
        scopes=named,
        audience=settings.auth_audience,
        issued_at=now,
        expires_at=now + int(found[1]) * {"m": 60, "h": 3600, "d": 86400}[found[2]],
    )
    click.echo(OwnKey(own_key_file(settings.data_dir)).sign(claims))


@cli.group()
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

    for line in _start(work()) or ["nothing to do: the schema is up to date"]:
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

    for line in _start(work()) or ["nothing to do"]:
        click.echo(line)


@migrate.command("status")
def migrate_status_command() -> None:
    """Say which migrations are applied; exit code 1 where any is missing."""

    async def work() -> list[tuple[str, bool]]:
        async with _admin(read_settings()) as (admin_url, _):
            status = await migration_status(admin_url)
            return [(f"{migration.number:04} {migration.name}", applied) for migration, applied in status]

    status = _start(work())
    for name, applied in status:
        click.echo(f"{'applied' if applied else 'missing'}  {name}")
    if not all(applied for _, applied in status):
        sys.exit(1)


@cli.group()
def projections() -> None:
    """The read models that are built from the log."""


@projections.command("rebuild")
def rebuild() -> None:
    """Build the read models again from position 1, and replace what differs; readers notice nothing."""

    async def work() -> None:
        async with database_url(read_settings()) as url:
            with click.progressbar(length=1, label="Rebuilding", file=sys.stderr) as bar:

                def progress(done: int, total: int) -> None:
                    bar.length = max(total, 1)
                    bar.update(done - bar.pos)

                position, difference = await rebuild_projections(url, progress=progress)
        click.echo(
            f"rebuilt at position {position}: {difference.removed} rows removed, {difference.added} added,"
            f" {difference.changed} changed"
        )

    _start(work())


cli.add_command(clock)
cli.add_command(collections)
cli.add_command(dead_letters)
cli.add_command(schedules)


@cli.command("amc-sandbox")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8090, show_default=True)
@click.option("--table", "tables", multiple=True, metavar="NAME=FILE", help="A CSV or Parquet file as a table.")
@click.option("--date-column", default="date", show_default=True, help="The files' column that a window filters.")
@click.option("--shift-dates", is_flag=True, help="Move the files' days so that the last one is yesterday.")
@click.option("--clock-url", help="A service's /api/clock: its day is the sandbox's today, for tables that move.")
@click.option("--generated/--no-generated", default=True, show_default=True, help="Add AMC-shaped tables.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Keep executions here over a restart.")
@click.option("--pending-seconds", type=float, default=0.0, show_default=True)
@click.option("--running-seconds", type=float, default=0.0, show_default=True)
@click.option("--requests-per-second", type=float, default=1000.0, show_default=True)
@click.option("--max-concurrent", type=int, default=10, show_default=True, help="Per instance; more wait.")
@click.option("--result-files", type=click.IntRange(1), default=1, show_default=True, help="Split each result so.")
@click.option("--gzip-results", is_flag=True, help="Pack the files of results.")
@click.option(
    "--url-seconds", type=float, default=600.0, show_default=True, help="How long a result's address is good."
)
@click.option("--drop-every", type=int, default=0, help="Drop every Nth answer to a create after it has acted.")
def amc_sandbox(tables: tuple[str, ...], date_column: str, drop_every: int, **options: Any) -> None:
    """Run a server that stands for Amazon Marketing Cloud's API.

    GET /sandbox/stats counts executions, duplicates and how many ran at once; PUT /sandbox/faults sets faults.
    """
    configure_logs("info")
    files = []
    for table in tables:
        name, equals, file = table.partition("=")
        if not equals or not Path(file).is_file():
            raise click.BadParameter(f"{table!r} is not NAME=FILE of a file that exists", param_hint="--table")
        files.append(TableFile(name=name, path=Path(file), date_column=date_column))
    sandbox = SandboxOptions(tables=tuple(files), faults=Faults(drop_every=drop_every), **options)
    _start(
        serve_sandbox(
            sandbox,
            lambda running: click.echo(f"AMC sandbox on {running.base_url}, token URL {running.token_url}"),
        )
    )


def _start(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a command on uvloop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)
