"""`report-builder clock`: in development, moves the clock of all processes of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time

import asyncpg
import click

from service.bootstrap import database_url
from service.clock import FASTEST, LATEST, ClockSetting, read_clock, reset_clock, set_clock
from service.settings import SettingsError, read_settings


@click.group()
def clock() -> None:
    """The clock of schedules and windows, in development: needs REPORT_BUILDER_SETTABLE_CLOCK=true."""


@clock.command("set")
@click.argument("instant")
@click.option("--speed", type=click.FloatRange(0, FASTEST, min_open=True), default=1.0, show_default=True)
def set_(instant: str, speed: float) -> None:
    """Set it to INSTANT, a day or a date and time with its offset; --speed is its seconds in a real one."""
    start = _instant(instant)

    async def work(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await set_clock(connection, start, speed)

    _show(work)


@clock.command()
def reset() -> None:
    """Let it show the real time again."""

    async def work(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await reset_clock(connection)

    _show(work)


@clock.command()
def show() -> None:
    """Say what it shows."""

    async def work(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        pass

    _show(work)


def _instant(text: str) -> datetime:
    try:
        is_day = len(text) == len("2026-01-01")
        found = datetime.combine(date.fromisoformat(text), time(), UTC) if is_day else datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no date or time; give one like 2026-01-01T00:00:00Z") from None
    if found.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no offset; give it with one, like {text}Z or {text}-05:00")
    if not datetime(1970, 1, 1, tzinfo=UTC) <= found < LATEST:
        raise click.BadParameter(f"{text!r} is not between the years 1970 and {LATEST.year}")
    return found


def _show(work: Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[None]]) -> None:
    """Does the work on the service's database, and prints how the clock is set then."""
    settings = read_settings()
    if not settings.settable_clock:
        raise SettingsError(
            "the clock shows the real time: set REPORT_BUILDER_SETTABLE_CLOCK=true for all processes, in"
            " development only, to move it"
        )

    async def run() -> tuple[ClockSetting | None, datetime]:
        async with database_url(settings) as url:
            connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
            try:
                await work(connection)
                return await read_clock(connection)
            finally:
                await connection.close()

    setting, real = asyncio.run(run())
    if setting is None:
        click.echo(f"{real.isoformat(timespec='seconds')}, the real time")
    else:
        click.echo(f"{setting.at(real).isoformat(timespec='seconds')}, {setting.speed:g} times as fast as the real one")
