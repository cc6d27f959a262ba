"""`report-builder projections`: the read models."""

from __future__ import annotations

import sys

import click

from projections.rebuild import rebuild as rebuild_projections
from service.bootstrap import database_url
from service.cli.start import start
from service.settings import read_settings


@click.group()
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

    start(work())
