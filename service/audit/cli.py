"""`report-builder audit`: what an auditor asks of the log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from report_builder_verify.__main__ import main as verify_main
from service.api_client import ApiClient
from service.audit.show_cli import show
from service.settings import read_settings
from service.tree.cli import key, prove, rebuild


@click.group()
def audit() -> None:
    """Show and prove what the log says, export and verify it, and look after the keys that it is signed with."""


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--from", "first", type=click.IntRange(1), help="The first position.")
@click.option("--to", "last", type=click.IntRange(1), help="The last position.")
@click.option("--team", help="With the bodies of this team's events alone.")
def export(file: Path, first: int | None, last: int | None, team: str | None) -> None:
    """Export the log of a running service: REPORT_BUILDER_API_URL names it, by default the one on this machine."""
    query = {"from": first, "to": last, "team": team}
    size = asyncio.run(ApiClient(read_settings()).download("/api/audit/export", file, **query))
    click.echo(f"{file}: {size:,} bytes")


@audit.command(
    # All that it takes is the verifier's own.
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Verify an exported log, offline.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def verify(arguments: tuple[str, ...]) -> None:
    """Verify an exported log, offline: the program report-builder-verify, which auditors install without all this."""
    sys.exit(verify_main(arguments))


for command in (show, prove, key, rebuild):
    audit.add_command(command)
