"""`report-builder audit show`, as a person types it, against a running service."""

from __future__ import annotations

from pathlib import Path

import msgspec

from service.api_client import ApiRefused
from tests.integration.http.test_schedules_cli import typed
from tests.postgres import Database
from tests.service import ONCE, UNKNOWN_ID, serving, settings_for


async def test_a_report_is_shown_as_it_was_and_what_has_changed(database: Database, tmp_path: Path) -> None:
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as api:
        url = str(api.http._base_url)
        submitted = await api.submitted(ONCE)
        stream = f"report-{submitted['report_id']}"

        async def said(*arguments: str) -> str:
            result = await typed("audit", "show", *arguments, API_URL=url)
            assert result.exit_code == 0, result.output
            return result.output

        now = await said(stream)
        assert now.startswith(f"{stream} of team local at position ")
        assert "\n  next_step: null\n" in now
        assert "\nreport.parameters_set at position " in now
        state = msgspec.json.decode(await said(stream, "--json"))
        created, parameters = state["latest"][:2]
        then = await said(stream, "--at", str(parameters["position"]))
        assert '\n  next_step: "schedule"\n' in then
        assert await said(stream, "--at", parameters["recorded_at"]) == then
        changed = await said(stream, "--since", created["recorded_at"])
        assert f"changes since position {created['position']}:\n" in changed
        assert f'  reports {submitted["report_id"]}: next_step was "parameters", is null\n' in changed
        assert "  report.parameters_set: new, {" in changed
        refused = await typed("audit", "show", f"report-{UNKNOWN_ID}", "--all-teams", API_URL=url)
        assert isinstance(refused.exception, ApiRefused)
        assert "(404 not_found)" in str(refused.exception)
