"""`report-builder collections`, as a person types it, against a running service."""

from __future__ import annotations

from pathlib import Path

import msgspec

from service.api_client import ApiRefused
from tests.integration.http.test_schedules_cli import typed
from tests.postgres import Database
from tests.service import serving, settings_for

BACKFILL = {"schedule_type": "backfill", "backfill_config": {"segmentation_config": {"type": "monthly"}}}


async def test_a_collection_is_listed_shown_changed_paused_resumed_moved_and_cancelled(
    database: Database, tmp_path: Path
) -> None:
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as api:
        url = str(api.http._base_url)
        submitted = await api.submitted(BACKFILL)
        collection_id = submitted["collection_id"]
        await api.read(f"/api/data-collections?min_position={submitted['position']}")

        async def said(*arguments: str) -> str:
            result = await typed("collections", *arguments, API_URL=url)
            assert result.exit_code == 0, result.output
            return result.output.strip()

        assert "0 of 12" in await said("list", "--status", "pending")
        assert await said("pause", collection_id, "--reason", "holidays") == "paused, 10 at once, newest first"
        shown = await said("show", collection_id)
        assert shown.startswith("Values: pending, paused, 0.0 %")
        assert "holidays" in shown
        assert await said("resume", collection_id) == "at work, 10 at once, newest first"
        changed = await said("change", collection_id, "--parallel-limit", "2", "--order", "oldest_first")
        assert changed == "at work, 2 at once, oldest first"
        segment_id = msgspec.json.decode(await said("show", collection_id, "--json"))["segments"][3]["segment_id"]
        assert (
            msgspec.json.decode(await said("front", collection_id, "--segment", segment_id, "--json"))["version"] == 5
        )
        refused = await typed("collections", "retry", collection_id, API_URL=url)
        assert isinstance(refused.exception, ApiRefused)
        assert "(409 collection_state)" in str(refused.exception)
        assert (await said("cancel", collection_id)).startswith("cancelled")
        listed = msgspec.json.decode(await said("list", "--json"))
        assert [item["cancelled"]["reason"] for item in listed["items"]] == [None]
