"""`report-builder amc-sandbox`: the server that stands for Amazon Marketing Cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from service.amc.sandbox.faults import Faults
from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import serve
from service.cli.start import start
from service.logs import configure_logs


@click.command("amc-sandbox")
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
    start(
        serve(
            sandbox,
            lambda running: click.echo(f"AMC sandbox on {running.base_url}, token URL {running.token_url}"),
        )
    )
