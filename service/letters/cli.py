"""`report-builder dead-letters`: look at the orders that the broker gave up and settle them, over the API."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

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
    table = Table("letter", "died", "why", "team", "collection", "segment", "step", "its segment")
    for item in page["items"]:
        table.add_row(
            item["letter_id"], item["died_at"] or "", item["reason"].replace("_", " "), item["team_id"] or "",
            item["collection_id"] or "", item["segment_id"] or item["body"], item["step"] or "",
            {True: "waits for it", False: "needs it no more", None: ""}[item["stalled"]],
        )  # fmt: skip
    Console().print(table)


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
