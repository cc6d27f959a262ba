"""`report-builder schedules` and `clock`, as a person types them, against a running service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result

from db.pool import Pool
from service.api_client import ApiRefused
from service.cli import cli
from service.clock import read_clock
from service.settings import SettingsError
from tests.integration.http.test_schedules import created
from tests.postgres import Database
from tests.service import serving, settings_for


async def typed(*arguments: str, **settings: str) -> Result:
    """The program with these arguments, in a thread of its own, as it runs an event loop of its own."""
    environment = {f"REPORT_BUILDER_{name}": value for name, value in settings.items()}
    return await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=environment)


async def test_a_schedule_is_listed_shown_paused_resumed_run_and_ended(database: Database, tmp_path: Path) -> None:
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as api:
        url = str(api.http._base_url)
        schedule_id = (await created(api)).rpartition("/")[2]

        async def said(*arguments: str) -> str:
            result = await typed("schedules", *arguments, API_URL=url)
            assert result.exit_code == 0, result.output
            return result.output

        assert "Every night" in await said("list", "--status", "active")
        assert "Runs every day at 02:30" in await said("show", schedule_id)
        assert (await said("pause", schedule_id, "--reason", "holidays")).strip() == "paused"
        assert (await said("resume", schedule_id)).startswith("active, next run 20")
        assert (await said("run-now", schedule_id)).startswith("started: collection ")
        assert msgspec.json.decode(await said("end", schedule_id, "--json"))["status"] == "ended"
        shown = msgspec.json.decode(await said("show", schedule_id, "--json"))
        assert (shown["status"], len(shown["runs"])) == ("ended", 1)
        listed = msgspec.json.decode(await said("list", "--json"))
        assert [item["schedule_id"] for item in listed["items"]] == [schedule_id]

        refused = await typed("schedules", "pause", schedule_id, API_URL=url)
        assert isinstance(refused.exception, ApiRefused)
        assert "(409 schedule_state)" in str(refused.exception)
    gone = await typed("schedules", "list", API_URL=url)
    assert isinstance(gone.exception, ApiRefused)
    assert "report-builder run" in str(gone.exception)


async def test_the_clock_is_set_shown_and_reset_where_the_setting_allows_it(database: Database, pool: Pool) -> None:
    allowed = {"SETTABLE_CLOCK": "true", "DATABASE_URL": database.service_url}
    assert "the real time" in (await typed("clock", "show", **allowed)).output
    result = await typed("clock", "set", "2026-03-08T02:00:00-05:00", "--speed", "0.001", **allowed)
    assert result.output.startswith("2026-03-08T07:00:00+00:00, 0.001 times as fast")
    setting, _ = await read_clock(pool)
    assert setting is not None
    assert setting.speed == 0.001
    assert (await typed("clock", "set", "2026-01-01", **allowed)).output.startswith("2026-01-01T00:00:0")
    assert "the real time" in (await typed("clock", "reset", **allowed)).output
    assert (await read_clock(pool))[0] is None


async def test_the_clock_is_not_touched_where_the_setting_does_not_allow_it(database: Database, pool: Pool) -> None:
    for arguments in (("set", "2026-01-01"), ("reset",), ("show",)):
        refused = await typed("clock", *arguments, DATABASE_URL=database.service_url)
        assert isinstance(refused.exception, SettingsError)
        assert "REPORT_BUILDER_SETTABLE_CLOCK" in str(refused.exception)
    assert (await read_clock(pool))[0] is None


async def test_a_time_that_says_too_little_is_a_wrong_command_line(database: Database) -> None:
    allowed = {"SETTABLE_CLOCK": "true", "DATABASE_URL": database.service_url}
    for instant, said in (("2026-01-01T09:00", "offset"), ("soon", "2026-01-01T00:00:00Z"), ("9500-01-01", "9000")):
        result = await typed("clock", "set", instant, **allowed)
        assert (result.exit_code, said in result.output) == (2, True), result.output
    assert (await typed("clock", "set", "2026-01-01", "--speed", "0", **allowed)).exit_code == 2
