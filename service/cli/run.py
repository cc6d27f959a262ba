"""`report-builder run`: the service itself."""

from __future__ import annotations

import asyncio
from typing import get_args

import click

from service.auth.codes import LIFETIME
from service.bootstrap import running
from service.cli.start import start, stop_on_signals
from service.logs import configure_logs
from service.roles import ROLES, Role
from service.settings import Settings, read_settings


@click.command()
@click.option("--roles", default="all", help=f"Comma-separated: {', '.join(ROLES)}; or all.")
def run(roles: str) -> None:
    """Run the service; SIGTERM or Ctrl-C drains it, a second one ends it at once."""
    wanted = list(ROLES) if roles == "all" else [role.strip() for role in roles.split(",")]
    if strangers := [role for role in wanted if role not in get_args(Role)]:
        raise click.BadParameter(f"no such role: {', '.join(strangers)}; there are {', '.join(ROLES)}, all")
    settings = read_settings()
    configure_logs(settings.log_level)
    start(_run(settings, wanted))  # type: ignore[arg-type]


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
