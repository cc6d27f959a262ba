"""The running service does what `/openapi.json` says: schemathesis, with all checks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deployment import ROOT
from tests.service import INSTANCE_ID, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
HANGING = 600
"""Seconds after which it is stuck: the number of cases, and so its work, is bounded by the configuration."""
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


async def test_the_service_does_what_its_document_says(
    shared_api: Service, record_property: Callable[[str, object], None]
) -> None:
    submitted = await shared_api.submitted()
    async with asyncio.timeout(30):
        while (await shared_api.get("/api/audit/log/checkpoint")).status != 200:
            await asyncio.sleep(0.1)
    made = {"instance_id": INSTANCE_ID, "collection_id": submitted["collection_id"]}
    made |= {"report_id": submitted["report_id"], "workflow_id": await shared_api.workflow()}
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "--no-color"),
        *("run", f"{shared_api.program.api_url}/openapi.json"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "MADE_BEFORE": json.dumps(made)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(HANGING):
            output = (await run.communicate())[0].decode()
    finally:
        if run.returncode is None:
            run.kill()
    assert run.returncode == 0, output
    count = re.search(r"(\d+) generated, (\d+) passed", output)
    assert count, output
    assert count[1] == count[2]
    record_property("cases", int(count[1]))
