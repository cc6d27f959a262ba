"""`report-builder audit show`: how a thing stood at a moment, as the log of a running service has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click
import msgspec

from service.api_commands import as_json, print_json, send

WIDTH = 100
"""What of a value is shown."""


@click.command()
@click.argument("stream")
@click.option("--at", help="A position, or a time such as 2026-03-02T14:00:00Z; without it, now.")
@click.option("--since", help="An earlier position or time: shows what has changed from then on.")
@click.option("--all-teams", is_flag=True, help="Whichever team's it is, which an auditor may ask for.")
@as_json
def show(stream: str, at: str | None, since: str | None, all_teams: bool, as_json: bool) -> None:
    """Show how a thing stood at a moment. STREAM names it: report-…, collection-…, segment-…, schedule-…, workflow-…,
    instance-…, account-…, team-… and its id."""
    moments = {**_moment("at", at), **_moment("from", since)}
    query = {**moments, **({"all_teams": "true"} if all_teams else {})}
    state = send("GET", f"/api/audit/state/{quote(stream, safe='')}", None, **query)
    if as_json:
        print_json(state)
        return
    for line in _lines(state):
        click.echo(line)


def _moment(which: str, text: str | None) -> dict[str, str]:
    """The parameter that the text is for: digits are a position."""
    if text is None:
        return {}
    return {f"{which}_{'position' if re.fullmatch('[0-9]+', text) else 'time'}": text}


def _lines(state: Any) -> Iterator[str]:
    """A state for reading: the rows, or the changes where an earlier moment was asked for."""
    yield f"{state['stream']} of team {state['team_id']} at position {state['position']}"
    if state["version"] is not None:
        yield f"version {state['version']} since {state['recorded_at']}"
    if "changes" in state:
        yield f"changes since position {state['since_position']}:"
        for change in state["changes"]:
            yield f"  {_change(change)}"
        return
    for table, rows in state["rows"].items():
        for row in rows:
            yield table
            for name, value in row.items():
                yield f"  {name}: {_shown(value)}"
    for event in state["latest"]:
        yield f"{event['event_type']} at position {event['position']}, {event['recorded_at']}"
        for name, value in event["configuration"].items():
            yield f"  {name}: {_shown(value)}"


def _change(change: Any) -> str:
    of = f"{change['of']} {change['key']}" if change["key"] else change["of"]
    if change["field"] is None:
        return f"{of}: new, {_shown(change['after'])}"
    return f"{of}: {change['field']} was {_shown(change['before'])}, is {_shown(change['after'])}"


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
