"""`report-builder dead-letters`: look at the orders that the broker gave up and settle them, over the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from service.api_commands import as_json, print_json, reason, send

letter_ids = click.argument("letter_ids", nargs=-1, required=True, metavar="LETTER_ID…")


@click.group("dead-letters")
def dead_letters() -> None:
    """Dead letters of a running service: REPORT_BUILDER_API_URL names it, by default the one on this machine."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@as_json
def list_letters(limit: int, as_json: bool) -> None:
    """List those that died last."""
    page = send("GET", "/api/dead-letters", limit=limit)
    if as_json:
        print_json(page)
        return
    for item in page["items"]:
        click.echo("\n  ".join(_lines(item)))


@dead_letters.command()
@letter_ids
@reason
@as_json
def resend(letter_ids: tuple[str, ...], reason: str | None, as_json: bool) -> None:
    """Have them tried again; a segment that has stalled goes on."""
    _settle(letter_ids, "resend", "sent again", reason, as_json)


@dead_letters.command()
@letter_ids
@reason
@as_json
def discard(letter_ids: tuple[str, ...], reason: str | None, as_json: bool) -> None:
    """Delete them; a segment that has stalled stays so."""
    _settle(letter_ids, "discard", "discarded", reason, as_json)


def _settle(letter_ids: tuple[str, ...], command: str, done: str, reason: str | None, as_json: bool) -> None:
    for letter_id in letter_ids:
        answer = send("POST", f"/api/dead-letters/{letter_id}/{command}", {"reason": reason} if reason else {})
        if as_json:
            print_json(answer)
        else:
            click.echo(f"{letter_id}: {done}{', its segment goes on' if answer['resumed'] else ''}")


def _lines(item: Any) -> Iterator[str]:
    """A letter for reading: its id first, to be copied."""
    yield f"{item['letter_id']}  {item['reason'].replace('_', ' ')}, {item['died_at'] or 'nobody knows when'}"
    if item["segment_id"] is None:
        yield repr(item["body"])
        return
    yield f"step {item['step']} of segment {item['segment_id']}"
    yield f"collection {item['collection_id']}, team {item['team_id']}"
    if item["stalled"] is not None:
        yield "its segment waits for it" if item["stalled"] else "its segment needs it no more"
