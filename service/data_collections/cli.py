"""`report-builder collections`: look at collections and command them, over the API of a running service."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from service.api_commands import as_json, carry_out, print_json, reason, send
from service.words import counted

collection_id = click.argument("collection_id")


@click.group()
def collections() -> None:
    """Collections of a running service: REPORT_BUILDER_API_URL names it, by default the one on this machine."""


@collections.command("list")
@click.option("--status", type=click.Choice(["pending", "in_progress", "completed", "partial", "failed"]))
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@as_json
def list_collections(status: str | None, limit: int, as_json: bool) -> None:
    """List the newest collections."""
    page = send("GET", "/api/data-collections", status=status, limit=limit)
    if as_json:
        print_json(page)
        return
    table = Table("collection", "name", "status", "window", "segments", "failed")
    for item in page["items"]:
        done = item["segments_completed"] + item["segments_skipped"]
        table.add_row(
            item["collection_id"], item["name"], _status(item), f"{item['window_start']} to {item['window_end']}",
            f"{done} of {item['segments_total']}", str(item["segments_failed"]),
        )  # fmt: skip
    Console().print(table)


@collections.command()
@collection_id
@as_json
def show(collection_id: str, as_json: bool) -> None:
    """Show how far a collection is, segment by segment."""
    progress = send("GET", f"/api/data-collections/{collection_id}/progress")
    if as_json:
        print_json(progress)
        return
    collection = progress["collection"]
    click.echo(f"{collection['name']}: {_status(collection)}, {progress['percent']} %")
    for act in ("paused", "cancelled"):
        if done := collection[act]:
            click.echo(f"{act} at {done['at']} by {done['by']}: {done['reason'] or 'no reason given'}")
    if held := collection["held"]:
        click.echo(f"held since {held['at']}, {held['cause']}: {held['error']}")
    if held := collection["held_by"]:
        click.echo(f"held since {held['since']}, {held['reason']}: {held['remedy']}")
    table = Table("segment", "days", "status", "attempts", "rows", "error")
    for segment in progress["segments"]:
        table.add_row(
            segment["segment_id"], f"{segment['week_start']} to {segment['week_end']}",
            segment["status"] + (", stalled" if segment["stalled"] else ""),
            str(segment["attempts"]), "" if segment["row_count"] is None else str(segment["row_count"]),
            segment["error"] or "",
        )  # fmt: skip
    Console().print(table)


@collections.command()
@collection_id
@reason
@as_json
def pause(collection_id: str, reason: str | None, as_json: bool) -> None:
    """Start no more segments until it is resumed; those that run come to their end."""
    _command(collection_id, "/pause", {"reason": reason}, as_json)


@collections.command()
@collection_id
@reason
@as_json
def resume(collection_id: str, reason: str | None, as_json: bool) -> None:
    """Go on."""
    _command(collection_id, "/resume", {"reason": reason}, as_json)


@collections.command()
@collection_id
@reason
@as_json
def cancel(collection_id: str, reason: str | None, as_json: bool) -> None:
    """End it for good, with what AMC runs for it; results that are there stay."""
    _command(collection_id, "/cancel", {"reason": reason}, as_json)


@collections.command()
@collection_id
@click.option("--segment", "segment_id", help="That segment, before the others of the collection.")
@reason
@as_json
def front(collection_id: str, segment_id: str | None, reason: str | None, as_json: bool) -> None:
    """Let it run before the others of its owner."""
    _command(collection_id, "/front", {"segment_id": segment_id, "reason": reason}, as_json)


@collections.command()
@collection_id
@click.option("--segment", "segment_ids", multiple=True, help="Only this failed or stalled segment; may be repeated.")
@reason
@as_json
def retry(collection_id: str, segment_ids: tuple[str, ...], reason: str | None, as_json: bool) -> None:
    """Run failed segments again and let stalled ones go on, all of them where none are named."""
    _command(collection_id, "/retry", {"segment_ids": segment_ids or None, "reason": reason}, as_json)


@collections.command()
@collection_id
@click.argument("segment_id")
@click.option(
    "--into", type=click.Choice(["monthly", "weekly", "daily"]), help="Calendar pieces; by default the largest."
)
@reason
@as_json
def split(collection_id: str, segment_id: str, into: str | None, reason: str | None, as_json: bool) -> None:
    """Run a failed segment again in pieces, one that took AMC too long for instance."""
    _command(collection_id, "/split", {"segment_id": segment_id, "into": into, "reason": reason}, as_json)


@collections.command()
@collection_id
@click.argument("segment_id")
@as_json
def segment(collection_id: str, segment_id: str, as_json: bool) -> None:
    """Show what has happened to a segment, attempt by attempt."""
    timeline = send("GET", f"/api/data-collections/{collection_id}/segments/{segment_id}")
    if as_json:
        print_json(timeline)
        return
    table = Table("attempt", "began", "execution", "outcome", "ended", "error", "next")
    for attempt in timeline["attempts"]:
        table.add_row(
            str(attempt["attempt"]), attempt["dispatched_at"], attempt["execution_id"] or "", attempt["outcome"],
            attempt["ended_at"] or "", attempt["error"] or "", attempt["retry_at"] or "",
        )  # fmt: skip
    Console().print(table)


@collections.command()
@collection_id
@click.option("--parallel-limit", type=click.IntRange(min=1), help="Segments at once.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="Attempts of each segment.")
@click.option("--order", type=click.Choice(["newest_first", "oldest_first"]))
@click.option("--stop-after-failures", type=click.IntRange(min=0), help="From now on; 0 takes it away.")
@reason
@as_json
def change(
    collection_id: str,
    parallel_limit: int | None,
    max_attempts: int | None,
    order: str | None,
    stop_after_failures: int | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Change how the rest of it runs; what is not given stays."""
    body = {
        "parallel_limit": parallel_limit, "max_attempts": max_attempts, "order": order,
        "stop_after_failures": stop_after_failures, "reason": reason,
    }  # fmt: skip
    _command(collection_id, "", body, as_json, method="PATCH")


def _command(collection_id: str, command: str, body: dict[str, Any], as_json: bool, method: str = "POST") -> None:
    answer = carry_out(method, f"/api/data-collections/{collection_id}", command, body)
    if as_json:
        print_json(answer)
    elif again := answer.get("segment_ids"):
        click.echo(f"to run again: {counted(len(again), 'segment')}")
    else:
        state = next((flag for flag in ("cancelled", "paused", "held") if answer[flag]), "at work")
        click.echo(f"{state}, {answer['parallel_limit']} at once, {answer['order'].replace('_', ' ')}")


def _status(collection: Any) -> str:
    """The status, and the flag beside it that says most."""
    flags = ("cancelled", "paused", "held", "held_by")
    flag = next((name.removesuffix("_by") for name in flags if collection[name]), None)
    return f"{collection['backfill_status']}, {flag}" if flag else str(collection["backfill_status"])
