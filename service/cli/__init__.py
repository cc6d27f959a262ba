"""`report-builder`: the program's commands."""

from __future__ import annotations

import sys
from importlib import import_module

import click

# Each where its part of the program is: it is loaded when it is called, so that a short command starts in a moment.
COMMANDS = {
    "accounts": "service.amc.command_line:accounts",
    "amc-sandbox": "service.amc.sandbox.cli:amc_sandbox",
    "audit": "service.audit.cli:audit",
    "clock": "service.clock_cli:clock",
    "collections": "service.data_collections.cli:collections",
    "dead-letters": "service.letters.cli:dead_letters",
    "demo": "service.cli.demo:demo",
    "events": "service.stream.cli:events",
    "migrate": "service.cli.migrate:migrate",
    "persons": "service.persons.cli:persons",
    "projections": "service.cli.projections:projections",
    "restore": "service.tree.cli:restore",
    "run": "service.cli.run:run",
    "schedules": "service.schedules.cli:schedules",
    "token": "service.auth.cli:token",
}


class Commands(click.Group):
    """Those of COMMANDS, imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Configures, schedules and backfills Amazon Marketing Cloud reports.

    Settings are environment variables REPORT_BUILDER_*, listed in docs/settings.md.
    """


def main() -> None:
    """Entry point: an error with a remedy is one sentence on standard error and exit code 1."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except Exception as error:
        if not isinstance(error, _known_errors()):
            raise
        click.echo(f"report-builder: {error}", err=True)
        sys.exit(1)


def _known_errors() -> tuple[type[Exception], ...]:
    """Those whose message tells a person what to do; imported once there is one, as the commands are."""
    import asyncpg

    from db.embedded import EmbeddedPostgresFailed
    from db.migrations import MigrationError
    from db.pool import DatabaseRefused
    from events.append import Conflict
    from events.reader import LogDamaged
    from events.tree.notes import NoteError
    from events.tree.store import TreeDiffers
    from projections.rebuild import RebuildFailed
    from projections.runner import CannotApply
    from projections.scratch import RebuildRunning
    from service.api_client import ApiRefused
    from service.demo import DemoFailed
    from service.settings import SettingsError
    from service.tree.folder import FolderUnfit

    return (
        Conflict,
        FolderUnfit,
        LogDamaged,
        NoteError,
        TreeDiffers,
        SettingsError,
        ApiRefused,
        DatabaseRefused,
        EmbeddedPostgresFailed,
        MigrationError,
        DemoFailed,
        CannotApply,
        RebuildRunning,
        RebuildFailed,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
    )
