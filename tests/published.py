"""Every event that a service in the tests records is held against the schema that is published for its type."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from db.pool import DATABASE_ERRORS, Pool
from events.registry import REGISTRY
from service.contract.event_schemas import released_schemas

SEEN: Counter[str] = Counter()
"""Events by type since it was last asked for; see `tests.conftest`."""

BODIES = "SELECT position, event_type, schema_version, configuration FROM report_builder_audit ORDER BY position"


@cache
def _validators() -> dict[tuple[str, str], Any]:
    schemas = released_schemas()
    return {key: jsonschema_rs.validator_for(schema) for key, schema in schemas.items()}


async def hold_to_schemas(pool: Pool) -> None:
    """Fails where an event of the log is not as its schema says. What a test has made up has none."""
    try:
        rows = await pool.fetch(BODIES)
    except DATABASE_ERRORS:  # the test has taken it away
        return
    for row in rows:
        validator = _validators().get((row["event_type"], str(row["schema_version"])))
        if validator is None:
            continue
        body = msgspec.json.decode(row["configuration"])
        faults = [error.message for error in validator.iter_errors(body)]
        assert not faults, f"{row['event_type']} at position {row['position']} is not as its schema says: {faults}"
        SEEN[row["event_type"]] += 1


def summary(seen: Counter[str]) -> str:
    """What was seen, in words, and what was not."""
    never = sorted(set(REGISTRY) - set(seen))
    names = f": {', '.join(never)}" if 0 < len(never) <= 15 else ""
    return (
        f"{seen.total():,} events of {len(seen)} types were as their schemas say; {len(never)} types never seen{names}"
    )
