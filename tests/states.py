"""The states of things as of a position, held against tables that have applied the log up to there and no further."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from db.pool import Connection, Pool
from projections.history import SHOWN, Moment, read_moments
from projections.rows import Table, columns, json_columns

# Which column of a table names the thing whose stream is asked about.
OWNER = {
    "report": "report_id",
    "collection": "collection_id",
    "segment": "segment_id",
    "schedule": "schedule_id",
    "team": "team_id",
    "instance": "instance_id",
    "workflow": "workflow_id",
    "account": "account_id",
}

Rows = dict[str, dict[str, Any]]
"""By key, each column as it compares."""


async def compare_states(
    log: Pool, tables: Connection | Pool, schema: str, position: int, chance: random.Random, most: int
) -> int:
    """Compares at most so many things of each category, taken by chance, as the log of one has them at the position
    with the tables of the other, which stand there; answers how many."""
    compared = 0
    for category, shown in SHOWN.items():
        column = OWNER[category]
        ids = await tables.fetch(f"SELECT DISTINCT {column} AS id FROM {schema}.{shown[0].name} ORDER BY 1")
        for id in chance.sample([row["id"] for row in ids], min(most, len(ids))):
            wanted = {table.name: await _stored(tables, schema, table, column, id) for table in shown}
            async with log.acquire() as connection, connection.transaction():
                (moment,) = await read_moments(connection, f"{category}-{id}", [position])
            assert _folded(moment) == wanted, (category, id, position)
            compared += 1
    return compared


async def _stored(tables: Connection | Pool, schema: str, table: Table[Any], column: str, id: object) -> Rows:
    rows = await tables.fetch(f"SELECT {', '.join(columns(table))} FROM {schema}.{table.name} WHERE {column} = $1", id)
    return {str(row[table.key]): _comparable(table, dict(row)) for row in rows}


def _folded(moment: Moment) -> dict[str, Rows]:
    tables = {table.name: table for tables in SHOWN.values() for table in tables}
    return {
        name: {
            str(getattr(row, tables[name].key)): _comparable(tables[name], msgspec.structs.asdict(row)) for row in rows
        }
        for name, rows in moment.rows.items()
    }


def _comparable(table: Table[Any], row: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL writes JSON with other spaces than we do."""
    texts = json_columns(table)
    return {
        name: msgspec.json.decode(value) if name in texts and value is not None else value
        for name, value in row.items()
    }
