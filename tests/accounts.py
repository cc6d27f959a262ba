"""Accounts for tests: logins that the sandbox accepts until it is told not to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from db.pool import Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from service.amc.sandbox import Faults, RunningSandbox
from tests.service import INSTANCE, Client

TOKEN = "Atzr|IwEBIrefresh-token-of-brand"
LOGIN = {
    "name": "Brand",
    "client_id": "amzn1.application-oa2-client.brand",
    "client_secret": "amzn1.oa2-cs.v1.secret-of-brand",
    "refresh_token": TOKEN,
}


async def connected(client: Client, **changes: object) -> str:
    """An account that Amazon has accepted; answers its id."""
    return str((await client.done("/api/accounts", LOGIN | changes))["account_id"])


async def add_instance(client: Client, instance_id: str, **changes: object) -> Any:
    """An instance of the sandbox."""
    return await client.done("/api/instances", INSTANCE | {"instance_id": instance_id} | changes)


def revoke(sandbox: RunningSandbox, *tokens: str, **faults: Any) -> None:
    """The users of these refresh tokens take their consent back; of none, they give it again."""
    sandbox.sandbox.faults.set(Faults(revoked_tokens=tokens, **faults))


async def types_of(pool: Pool, category: Any, entity_id: object) -> list[str]:
    """What has happened to it, without the category."""
    events = await read_stream(pool, stream_of(category, str(entity_id)))
    return [event.event_type.partition(".")[2] for event in events]


async def events_of(pool: Pool, collection_id: str) -> dict[int, list[RecordedEvent]]:
    """The events of each segment of a collection, by its number."""
    rows = await pool.fetch(
        "SELECT segment_number, segment_id FROM report_data_weeks WHERE collection_id = $1", collection_id
    )
    return {row["segment_number"]: await read_stream(pool, stream_of("segment", row["segment_id"])) for row in rows}


async def until(what: str, look: Callable[[], Any], seconds: float = 20) -> Any:
    """Waits until what `look` answers is true; answers that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not {what} within {seconds} s"
        await asyncio.sleep(0.02)
