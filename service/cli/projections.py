"""`report-builder projections`: the read models."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import click
import msgspec

from projections.difference import Difference, DifferingRow
from projections.rebuild import Verified
from projections.rebuild import rebuild as rebuild_projections
from projections.rebuild import verify as verify_projections
from projections.scratch import Progress
from projections.status import ProjectionStatus, RebuildStatus, Status, read_status
from service.bootstrap import database_url
from service.cli.start import start
from service.settings import read_settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group()
def projections() -> None:
    """The read models that are built from the log, in the database that the settings name."""


@projections.command("rebuild")
@click.option("--reason", help="Why; it is recorded.")
@as_json
def rebuild(reason: str | None, as_json: bool) -> None:
    """Build the read models again from position 1, and replace what differs; readers notice nothing.

    A rebuild that was ended goes on where it was, if it is of the same release.
    """

    async def work() -> None:
        async with database_url(read_settings()) as url:
            with _bar("Rebuilding") as progress:
                done = await rebuild_projections(url, reason=reason, progress=progress)
        if as_json:
            _print_json(done)
            return
        begun = f", from position {done.resumed_from} on" if done.resumed_from else ""
        click.echo(f"rebuilt at position {done.position}{begun}: {_in_words(done.difference)}")

    start(work())


@projections.command("verify")
@as_json
def verify(as_json: bool) -> None:
    """Build the read models beside the live ones and compare; exit code 1 names the first row that differs."""

    async def work() -> Verified:
        async with database_url(read_settings()) as url:
            with _bar("Verifying") as progress:
                return await verify_projections(url, progress=progress)

    verified = start(work())
    if as_json:
        _print_json(verified)
    else:
        for line in _findings(verified):
            click.echo(line)
    if verified.differences:
        sys.exit(1)


@projections.command("status")
@as_json
def status(as_json: bool) -> None:
    """Say how far each projection is, and what stopped it; exit code 1 where one is stopped."""

    async def work() -> Status:
        async with database_url(read_settings()) as url:
            connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
            try:
                return await read_status(connection)
            finally:
                await connection.close()

    found = start(work())
    if as_json:
        _print_json(found)
    else:
        for line in _standing(found):
            click.echo(line)
    if any(each.state == "stopped" for each in found.projections):
        sys.exit(1)


@contextlib.contextmanager
def _bar(label: str) -> Iterator[Progress]:
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield progress


def _print_json(value: object) -> None:
    click.echo(msgspec.json.encode(value).decode())


def _in_words(difference: Difference) -> str:
    return f"{difference.removed} rows removed, {difference.added} added, {difference.changed} changed"


def _findings(verified: Verified) -> Iterator[str]:
    if verified.first is None:
        yield f"the read models are what the log gives, at position {verified.position}"
        return
    yield f"the read models differ from the log, at position {verified.position}"
    yield f"first: {_row_in_words(verified.first)}"
    for table, found in verified.differences.items():
        yield (
            f"{table}: {found.removed} rows that no event explains, {found.added} missing, {found.changed} with other"
            " values"
        )
    yield "`report-builder projections rebuild` puts them right"


def _row_in_words(row: DifferingRow) -> str:
    name = f"{row.table} {row.key}"
    if row.column is not None:
        return f"{name}: {row.column} is {_value(row.live)}, the events give {_value(row.events)}"
    if row.live is None:
        return f"{name} is missing, the events give {_value(row.events)}"
    return f"{name} is there, and no event explains it: {_value(row.live)}"


def _value(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _standing(found: Status) -> Iterator[str]:
    yield f"the log ends at position {found.head}"
    for each in found.projections:
        yield _projection(each)
    if found.rebuild is not None:
        yield _rebuild(found.rebuild)
    if (last := found.last_rebuild) is not None:
        done = last.rebuilt
        why = f" ({done.reason})" if done.reason else ""
        difference = _in_words(Difference(done.rows_removed, done.rows_added, done.rows_changed))
        yield f"last rebuilt {last.recorded_at:%Y-%m-%d %H:%M} UTC at position {done.position}{why}: {difference}"


def _projection(each: ProjectionStatus) -> str:
    if each.state == "stopped":
        return (
            f"{each.projection}: stopped at position {each.stopped_at} since {each.stopped_since:%Y-%m-%d %H:%M} UTC,"
            f" {each.lag} behind: {each.stopped_by}"
        )
    return f"{each.projection}: {each.state.replace('_', ' ')}, at position {each.position}, {each.lag} behind"


def _rebuild(each: RebuildStatus) -> str:
    if each.running:
        return f"rebuild: at position {each.position} of {each.target}, begun {each.started_at:%Y-%m-%d %H:%M} UTC"
    return f"rebuild: ended at position {each.position} of {each.target}; the next one goes on there"
