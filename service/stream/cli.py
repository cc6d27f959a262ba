"""`report-builder events`: print the log, follow it, or save it to a file, over the API."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.api_client import ApiClient, ApiRefused
from service.settings import read_settings

PAGE = 1000
LAST = 10
"""Positions before the end that `tail` begins with, as the command of that name does."""

QUIET = 60.0
"""Seconds without a byte after which a stream is taken for dead; the service sends a comment every 15."""

BEGINNING = b'{"specversion":'
BLOCK = 64 * 1024

RETRY_AFTER = 1.0
MOST_RETRY_AFTER = 30.0

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

FILTERS: tuple[Option, ...] = (
    click.option("--type", "type", multiple=True, help="Only this event type; one that ends in * is a beginning."),
    click.option("--stream", multiple=True, help="Only this stream, such as report-<id>."),
    click.option("--workflow", multiple=True, help="Only events about this workflow."),
    click.option("--user", multiple=True, help="Only events on behalf of this user."),
    click.option("--team", multiple=True, help="This team of yours, instead of the first."),
    click.option("--all-teams", is_flag=True, help="Every team's events; takes the scope audit:read."),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which events; each but the last may be given more than once."""
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.group()
def events() -> None:
    """The log of a running service: REPORT_BUILDER_API_URL names it, by default the one on this machine."""


@events.command()
@filters
@click.option("--after", type=click.IntRange(0), help=f"Begin behind this position; without it {LAST} before the end.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is recorded from now on, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Each event as it is, a CloudEvent a line.")
def tail(after: int | None, follow: bool, as_json: bool, **wanted: Any) -> None:
    """Print events, the last ones first of all. Where a connection is cut it goes on behind the last event."""
    asyncio.run(_tail(after, follow, as_json, _query(wanted)))


@events.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@filters
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Begin behind this position.")
def export(file: Path, after: int, **wanted: Any) -> None:
    """Save events to FILE, a CloudEvent a line. Run it again to go on where the file ends."""
    asyncio.run(_export(file, after, _query(wanted)))


async def _tail(after: int | None, follow: bool, as_json: bool, query: dict[str, Any]) -> None:
    client = ApiClient(read_settings())
    if after is None:
        after = max((await client.send("GET", "/api/events", limit=1))["head"] - LAST, 0)
    lines = _live(client, _Place(after), query) if follow else _recorded(client, after, query)
    async for line in lines:
        click.echo(line if as_json else _readable(line))


async def _export(file: Path, after: int, query: dict[str, Any]) -> None:
    client = ApiClient(read_settings())
    begun = _mend(file)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    count = 0
    with Progress(*columns, console=Console(stderr=True)) as progress, file.open("ab") as output:
        task = progress.add_task("position", total=None)
        place = begun if begun.position >= after else _Place(after)
        async for lines, page in _pages(client, place, query):
            output.write(lines)
            output.flush()
            count += lines.count(b"\n")
            progress.update(task, completed=page.after.position, total=page.head)
    click.echo(f"{count} events added to {file}", err=True)


class _Place(msgspec.Struct, frozen=True):
    """How far a reader has come, and in which epoch of the log, null where it has not heard of one."""

    position: int
    epoch: int | None = None

    @property
    def query(self) -> dict[str, int]:
        return {"after": self.position} | ({} if self.epoch is None else {"epoch": self.epoch})


def _mend(file: Path) -> _Place:
    """Where the file's last event is, 0 where it has none. A line that was cut short is taken away.

    Raises ClickException, and changes nothing, where the file is not one of events.
    """
    if not file.exists():
        return _Place(0)
    with file.open("r+b") as content:
        end = content.seek(0, os.SEEK_END)
        begin, tail = end, b""
        while begin > 0 and tail.count(b"\n") < 2:
            begin = max(begin - BLOCK, 0)
            content.seek(begin)
            tail = content.read(end - begin)
        whole, _, cut = tail.rpartition(b"\n")
        last = whole.rpartition(b"\n")[2]
        try:
            place = _place(last) if last else _Place(0)
        except (msgspec.DecodeError, ValueError):
            place = None
        if place is None or not (cut.startswith(BEGINNING) or BEGINNING.startswith(cut)):
            raise click.ClickException(f"{file} is no file of events; name another one")
        content.truncate(end - len(cut))
    return place


class _Page(msgspec.Struct, frozen=True):
    """Where the page after this one begins, and where the log ended."""

    after: _Place
    head: int


async def _pages(client: ApiClient, after: _Place, query: dict[str, Any]) -> AsyncIterator[tuple[bytes, _Page]]:
    """The events behind the position up to the log's end, as lines; each page again where its answer is lost."""
    pause = RETRY_AFTER
    more = True
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=QUIET)) as http:
        while more:
            headers = client.headers | {"Accept": "application/x-ndjson"}
            try:
                async with http.get(
                    f"{client.url}/api/events", params=query | after.query | {"limit": PAGE}, headers=headers
                ) as answer:
                    lines = await _taken(answer)
            except (aiohttp.ClientError, TimeoutError) as error:
                pause = await _wait(error, pause)
                continue
            pause = RETRY_AFTER
            after = _Place(int(answer.headers["Next-After"]), int(answer.headers["Epoch"]))
            more = answer.headers["More"] == "true"
            yield lines, _Page(after, int(answer.headers["Log-Head"]))


async def _recorded(client: ApiClient, after: int, query: dict[str, Any]) -> AsyncIterator[bytes]:
    async for lines, _ in _pages(client, _Place(after), query):
        for line in lines.splitlines():
            yield line


async def _live(client: ApiClient, after: _Place, query: dict[str, Any]) -> AsyncIterator[bytes]:
    """The events behind the position, and all that come; comes back by itself when a connection is cut."""
    pause = RETRY_AFTER
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=QUIET, sock_read=QUIET)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=4 * 1024 * 1024) as http:
        while True:
            try:
                async with http.get(
                    f"{client.url}/api/events/stream", params=query | after.query, headers=client.headers
                ) as answer:
                    if answer.status >= 400:
                        await _taken(answer)
                    async for position, event, data in _frames(answer):
                        pause = RETRY_AFTER
                        if position is None:  # it says nothing of the log
                            continue
                        if event != "checkpoint":
                            yield data
                        after = _Place(position, msgspec.json.decode(data, type=_Epoch).epoch)
                raise aiohttp.ClientPayloadError("the service has ended the stream")
            except (aiohttp.ClientError, TimeoutError) as error:
                pause = await _wait(error, pause)


async def _frames(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[int | None, str, bytes]]:
    """Id, event and data of each server-sent event; a frame that is cut short is none."""
    fields: dict[bytes, bytes] = {}
    while line := await answer.content.readline():
        name, _, value = line.rstrip(b"\n").partition(b": ")
        if name:
            fields[name] = value
        elif fields:
            position = int(fields[b"id"]) if b"id" in fields else None
            yield position, fields.get(b"event", b"").decode(), fields.get(b"data", b"")
            fields = {}


async def _taken(answer: aiohttp.ClientResponse) -> bytes:
    """The body. Raises ApiRefused for a refusal that stays one, and ClientError for one that may pass."""
    body = await answer.read()
    if answer.status < 400:
        return body
    try:
        problem = msgspec.json.decode(body)
    except msgspec.DecodeError:
        problem = {}
    text = f"{problem.get('detail')} ({answer.status} {problem.get('code')})"
    if answer.status in (429, 502, 503, 504):
        raise aiohttp.ClientError(text)
    raise ApiRefused(text)


async def _wait(error: Exception, pause: float) -> float:
    """Says why, waits, and answers how long to wait next time."""
    click.echo(f"{str(error) or type(error).__name__}; again in {pause:g} s", err=True)
    await asyncio.sleep(pause)
    return min(pause * 2, MOST_RETRY_AFTER)


def _query(wanted: dict[str, Any]) -> dict[str, Any]:
    given = {name: list(value) for name, value in wanted.items() if name != "all_teams" and value}
    return given | ({"all_teams": "true"} if wanted["all_teams"] else {})


class _Event(msgspec.Struct, frozen=True):
    """What a line for people is made from."""

    sequence: str
    time: str
    type: str
    subject: str
    epoch: int
    userid: str = "-"


class _Epoch(msgspec.Struct, frozen=True):
    """What an event and a checkpoint both say."""

    epoch: int


def _place(line: bytes) -> _Place:
    event = msgspec.json.decode(line, type=_Event)
    return _Place(int(event.sequence), event.epoch)


def _readable(line: bytes) -> str:
    event = msgspec.json.decode(line, type=_Event)
    return f"{int(event.sequence):>9}  {event.time[:19]}Z  {event.type:<28}  {event.subject}  {event.userid}"
