"""`report-builder demo`: everything at once, with a sample backfill."""

from __future__ import annotations

from pathlib import Path

import click

from service.cli.start import start, stop_on_signals
from service.demo import DemoOptions, run_demo
from service.logs import configure_logs
from service.settings import read_settings


@click.command()
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

    start(work())
