"""How the live read models differ from those that the events give, found and put right by the database alone."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from db.pool import Connection
from projections.rows import Table, columns
from projections.runner import TABLES
from projections.scratch import SCHEMA

LIVE = "public"


class Difference(msgspec.Struct, frozen=True):
    """How many live rows no event explains, are missing, and are not as the events give them."""

    removed: int = 0
    added: int = 0
    changed: int = 0


class DifferingRow(msgspec.Struct, frozen=True):
    """One row. `column` is the first that differs; null where the whole row is there (`live`) or is to be there
    (`events`) alone. Values are as JSON has them."""

    table: str
    key: str
    column: str | None
    live: Any
    events: Any


async def digest(connection: Connection, schema: str) -> str:
    """SHA-256 over the number of rows of each read model and the sum of their hashes: equal rows give equal digests,
    wherever they are and in whichever order. Values are equal as their types compare them: a number of a document may
    have more zeros than another."""
    found = hashlib.sha256()
    for table in TABLES:
        # A record's hash is a sum over its columns, so two rows that exchange a value would add up to the same. Hashed
        # once more, they do not.
        row = await connection.fetchrow(
            "SELECT count(*) AS rows,"  # noqa: S608
            " sum(hashint8extended(hash_record_extended(t, 0), 0))::text AS sum"
            f" FROM {schema}.{table.name} t"
        )
        assert row is not None
        found.update(f"{table.name} {row['rows']} {row['sum']}\n".encode())
    return found.hexdigest()


async def count_differences(connection: Connection) -> dict[str, Difference]:
    """Those of each table that has any."""
    found = {}
    for table in TABLES:
        row = await connection.fetchrow(f"SELECT {_KINDS} FROM {_joined(table)} WHERE {_differs(table)}")  # noqa: S608
        assert row is not None
        if any(row.values()):
            found[table.name] = Difference(**row)
    return found


_KINDS = """
count(*) FILTER (WHERE built IS NULL) AS removed, count(*) FILTER (WHERE live IS NULL) AS added,
count(*) FILTER (WHERE NOT (built IS NULL) AND NOT (live IS NULL)) AS changed"""
# NOT (… IS NULL): of a row, IS NOT NULL asks that no column is null.


async def first_difference(connection: Connection, table: Table[Any]) -> DifferingRow | None:
    """The table's differing row with the lowest key."""
    row = await connection.fetchrow(
        f"SELECT {table.key}::text AS key, to_jsonb(live) AS live, to_jsonb(built) AS built"  # noqa: S608
        f"  FROM {_joined(table)} WHERE {_differs(table)} ORDER BY {table.key} LIMIT 1"
    )
    if row is None:
        return None
    live = None if row["live"] is None else msgspec.json.decode(row["live"])
    built = None if row["built"] is None else msgspec.json.decode(row["built"])
    if live is None or built is None:
        return DifferingRow(table.name, row["key"], None, live, built)
    # Whichever it is, the key names the row: PostgreSQL may tell values apart that are the same in JSON.
    column = next((name for name in columns(table) if live[name] != built[name]), table.key)
    return DifferingRow(table.name, row["key"], column, live[column], built[column])


async def make_equal(connection: Connection) -> Difference:
    """Children lose rows before their parents, parents gain rows before their children."""
    removed = added = changed = 0
    for table in reversed(TABLES):
        status = await connection.execute(
            f"DELETE FROM {LIVE}.{table.name} live WHERE NOT EXISTS"  # noqa: S608
            f" (SELECT FROM {SCHEMA}.{table.name} built WHERE built.{table.key} = live.{table.key})"
        )
        removed += int(status.rpartition(" ")[2])
    for table in TABLES:
        if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {LIVE}.{table.name})"):  # noqa: S608
            # Nothing to compare with, as after a migration that has emptied it.
            listed = ", ".join(columns(table))
            status = await connection.execute(
                f"INSERT INTO {LIVE}.{table.name} ({listed}) SELECT {listed} FROM {SCHEMA}.{table.name}"  # noqa: S608
            )
            added += int(status.rpartition(" ")[2])
            continue
        row = await connection.fetchrow(_upsert(table))
        assert row is not None
        added += row["added"]
        changed += row["changed"]
    return Difference(removed, added, changed)


def _joined(table: Table[Any]) -> str:
    return f"{LIVE}.{table.name} live FULL JOIN {SCHEMA}.{table.name} built USING ({table.key})"


def _differs(table: Table[Any]) -> str:
    names = columns(table)
    live, built = (", ".join(f"{side}.{name}" for name in names) for side in ("live", "built"))
    return f"(({built}) IS DISTINCT FROM ({live}))"


def _upsert(table: Table[Any]) -> str:
    names = columns(table)
    listed = ", ".join(names)
    return f"""
        WITH differing AS (
          SELECT built.*, live.{table.key} IS NULL AS missing
            FROM {SCHEMA}.{table.name} built LEFT JOIN {LIVE}.{table.name} live USING ({table.key})
           WHERE live.{table.key} IS NULL OR {_differs(table)}
        ), written AS (
          INSERT INTO {LIVE}.{table.name} ({listed}) SELECT {listed} FROM differing
          ON CONFLICT ({table.key}) DO UPDATE
            SET {", ".join(f"{name} = excluded.{name}" for name in names if name != table.key)}
        )
        SELECT count(*) FILTER (WHERE missing) AS added, count(*) FILTER (WHERE NOT missing) AS changed
          FROM differing
    """  # noqa: S608
