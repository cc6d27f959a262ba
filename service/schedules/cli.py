"""`report-builder schedules`: look at schedules and command them, over the API of a running service."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from service.api_commands import as_json, carry_out, print_json, reason, send

schedule_id = click.argument("schedule_id")


@click.group()
def schedules() -> None:
    """Schedules of a running service: REPORT_BUILDER_API_URL names it, by default the one on this machine."""


@schedules.command("list")
@click.option("--status", type=click.Choice(["active", "paused", "ended"]))
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@as_json
def list_schedules(status: str | None, limit: int, as_json: bool) -> None:
    """List the newest schedules."""
    page = send("GET", "/api/schedules", status=status, limit=limit)
    if as_json:
        print_json(page)
        return
    table = Table("schedule", "name", "status", "next run", "last run", "runs")
    for item in page["items"]:
        table.add_row(
            item["schedule_id"], item["name"], "held" if item["held"] else item["status"],
            item["next_run_at"] or "", item["last_run_at"] or "", str(item["run_count"]),
        )  # fmt: skip
    Console().print(table)


@schedules.command()
@schedule_id
@click.option("--runs", "count", type=click.IntRange(1, 200), default=10, show_default=True)
@as_json
def show(schedule_id: str, count: int, as_json: bool) -> None:
    """Show a schedule, what comes next, and its newest runs."""
    schedule = send("GET", f"/api/schedules/{schedule_id}")
    runs = send("GET", f"/api/schedules/{schedule_id}/runs", limit=count)["items"]
    if as_json:
        print_json({**schedule, "runs": runs})
        return
    click.echo(f"{schedule['name']}: {'held' if schedule['held'] else schedule['status']}")
    for sentence in schedule["sentences"]:
        click.echo(f"  {sentence}")
    for line in schedule["upcoming"]:
        click.echo(f"next  {line['local']} {line['abbreviation']}  {line['note'] or ''}".rstrip())
    table = Table("run", "status", "why", "window", "collection")
    for run in runs:
        window = f"{run['window_start']} to {run['window_end']}" if run["window_start"] else ""
        table.add_row(
            run["nominal"], run["backfill_status"] or run["status"], run["cause"] or run["reason"] or "", window,
            run["collection_id"] or "",
        )  # fmt: skip
    Console().print(table)


@schedules.command()
@schedule_id
@reason
@as_json
def pause(schedule_id: str, reason: str | None, as_json: bool) -> None:
    """Start nothing until it is resumed; what runs goes on."""
    _command(schedule_id, "pause", {"reason": reason}, as_json)


@schedules.command()
@schedule_id
@reason
@as_json
def resume(schedule_id: str, reason: str | None, as_json: bool) -> None:
    """Go on; missed runs are made up by the schedule's rule."""
    _command(schedule_id, "resume", {"reason": reason}, as_json)


@schedules.command()
@schedule_id
@reason
@as_json
def hold(schedule_id: str, reason: str | None, as_json: bool) -> None:
    """Let it wait until its backfill has come to its end."""
    _command(schedule_id, "hold", {"reason": reason}, as_json)


@schedules.command()
@schedule_id
@reason
@as_json
def release(schedule_id: str, reason: str | None, as_json: bool) -> None:
    """Let it go on beside its backfill."""
    _command(schedule_id, "release", {"reason": reason}, as_json)


@schedules.command("run-now")
@schedule_id
@as_json
def run_now(schedule_id: str, as_json: bool) -> None:
    """Start a run at once, beside the schedule's own."""
    _command(schedule_id, "run-now", {}, as_json)


@schedules.command()
@schedule_id
@reason
@as_json
def end(schedule_id: str, reason: str | None, as_json: bool) -> None:
    """End it for good."""
    _command(schedule_id, "end", {"reason": reason}, as_json)


def _command(schedule_id: str, command: str, body: dict[str, Any], as_json: bool) -> None:
    answer = carry_out("POST", f"/api/schedules/{schedule_id}", f"/{command}", body)
    if as_json:
        print_json(answer)
    elif "collection_id" in answer:
        click.echo(f"started: collection {answer['collection_id']}")
    else:
        following = f", next run {answer['next_run_at']}" if answer["next_run_at"] else ""
        click.echo(f"{answer['status']}{following}")
