"""Rows of read models in memory: loaded by key, changed by events, written back table by table.

A table is addressed by its bare name. A rebuild has tables of the same names in a schema that its connection looks
through first, so that the very same code fills them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, inspect
from msgspec.structs import astuple

from db.pool import Connection

Row = TypeVar("Row", bound=msgspec.Struct)

Json = Annotated[str, Meta(extra={"json": True})]
"""JSON as text: what a column of the type jsonb takes and gives."""


class ProjectionError(Exception):
    """An event does not fit what the events before it have made."""


class Table(msgspec.Struct, Generic[Row], frozen=True):
    """A read model's table; the struct's fields are its columns, `key` its primary key."""

    name: str
    key: str
    row: type[Row]


class Changes(msgspec.Struct, frozen=True):
    """Records of a table to be written; the table has those of the keys `again` already."""

    table: Table[Any]
    again: list[Any]
    records: list[tuple[Any, ...]]


class _Held:
    """The rows of one table that are in memory. `stored` are the keys of those that the table has too."""

    __slots__ = ("by_uuid", "changed", "followed", "rows", "stored", "table", "wanted")

    def __init__(self, table: Table[Any]) -> None:
        self.table = table
        # A UUID is compared in Python, its number in C: this is the innermost loop of a rebuild.
        self.by_uuid = _by_uuid(table)
        self.rows: dict[Any, Any] = {}
        self.changed: dict[Any, Any] = {}
        self.stored: set[Any] = set()
        self.wanted: dict[Any, Any] = {}
        self.followed: dict[str, tuple[Table[Any], set[Any]]] = {}


class Rows:
    """The rows of these tables that events touch. Each is loaded once, and written as often as `write` or
    `take_changes` is called after a change."""

    def __init__(self, tables: Iterable[Table[Any]]) -> None:
        self._held = {table.name: _Held(table) for table in tables}

    def __len__(self) -> int:
        return sum(len(held.rows) for held in self._held.values())

    def want(self, table: Table[Any], key: Any) -> None:
        """Says that a row will be needed, so that `load` brings all of them in one query per table."""
        held = self._held[table.name]
        known = key.int if held.by_uuid else key
        if known not in held.rows:
            held.wanted[known] = key

    def follow(self, table: Table[Any], key: Any, column: str, target: Table[Any]) -> None:
        """Says that the row of `target` will be needed that this row names in a column, if it names one."""
        self.want(table, key)
        self._held[table.name].followed.setdefault(column, (target, set()))[1].add(key)

    async def load(self, connection: Connection) -> None:
        """Brings what is wanted, then what that leads on to."""
        await self._load(connection)
        for held in self._held.values():
            followed, held.followed = held.followed, {}
            for column, (target, keys) in followed.items():
                found = (self.read(held.table, key) for key in keys)
                for key in {getattr(row, column) for row in found if row is not None} - {None}:
                    self.want(target, key)
        await self._load(connection)

    async def _load(self, connection: Connection) -> None:
        for held in self._held.values():
            if not held.wanted:
                continue
            wanted, held.wanted = held.wanted, {}
            table = held.table
            found = await connection.fetch(
                f"SELECT {', '.join(columns(table))} FROM {table.name} WHERE {table.key} = ANY ($1)",  # noqa: S608
                list(wanted.values()),
            )
            for record in found:
                key = record[table.key]
                known = key.int if held.by_uuid else key
                held.stored.add(known)
                held.rows[known] = table.row(**record)

    def add(self, table: Table[Row], row: Row) -> None:
        """A new row; raises ProjectionError where its key is taken."""
        held = self._held[table.name]
        key = getattr(row, table.key)
        known = key.int if held.by_uuid else key
        if known in held.rows:
            raise ProjectionError(f"{table.name} already has {key}")
        held.rows[known] = held.changed[known] = row

    def read(self, table: Table[Row], key: Any) -> Row | None:
        """The row as it stands, not to be changed; None where no event has made it."""
        held = self._held[table.name]
        return held.rows.get(key.int if held.by_uuid else key)

    def change(self, table: Table[Row], key: Any) -> Row:
        """The row, to be changed in place; raises ProjectionError where no event has made it."""
        held = self._held[table.name]
        known = key.int if held.by_uuid else key
        try:
            row: Row = held.rows[known]
        except KeyError:
            raise ProjectionError(f"{table.name} has no {key}") from None
        held.changed[known] = row
        return row

    def find(self, table: Table[Row], key: Any) -> Row | None:
        """The row, to be changed in place; None where no event has made it."""
        held = self._held[table.name]
        known = key.int if held.by_uuid else key
        row = held.rows.get(known)
        if row is not None:
            held.changed[known] = row
        return row

    def of(self, table: Table[Row]) -> list[Row]:
        """All rows of a table that are in memory, in the order in which they came there."""
        return list(self._held[table.name].rows.values())

    async def write(self, connection: Connection) -> None:
        """Writes the changed rows, the tables in their order: parents come before their children."""
        for held in self._held.values():
            if not held.changed:
                continue
            table, rows = held.table, list(held.changed.values())
            names = columns(table)
            types = await _column_types(connection, table.name)
            arrays = ", ".join(f"${n}::{types[name]}[]" for n, name in enumerate(names, 1))
            updates = ", ".join(f"{name} = excluded.{name}" for name in names if name != table.key)
            await connection.execute(
                f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608
                f" ON CONFLICT ({table.key}) DO UPDATE SET {updates}",
                *([getattr(row, name) for row in rows] for name in names),
            )
            self._written(held)

    def take_changes(self) -> list[Changes]:
        """What `write` would write, as it stands now, for `copy_changes`."""
        taken = []
        for held in self._held.values():
            if not held.changed:
                continue
            table = held.table
            again = [getattr(held.changed[known], table.key) for known in held.stored & held.changed.keys()]
            taken.append(Changes(table, again, list(map(astuple, held.changed.values()))))
            self._written(held)
        return taken

    def _written(self, held: _Held) -> None:
        held.stored |= held.changed.keys()
        held.changed = {}


async def copy_changes(connection: Connection, changes: Iterable[Changes], schema: str) -> None:
    """Writes many rows to tables of the schema to which nothing refers: what they have of these rows is deleted, and
    all of them copied in."""
    for of_table in changes:
        table = of_table.table
        if of_table.again:
            statement = f"DELETE FROM {schema}.{table.name} WHERE {table.key} = ANY ($1)"  # noqa: S608
            await connection.execute(statement, of_table.again)
        await connection.copy_records_to_table(
            table.name, schema_name=schema, columns=columns(table), records=of_table.records
        )


@cache
def columns(table: Table[Any]) -> list[str]:
    """The table's columns, as the struct declares them."""
    return list(table.row.__struct_fields__)


@cache
def json_columns(table: Table[Any]) -> frozenset[str]:
    """Those whose text is JSON."""
    described = inspect.type_info(table.row)
    assert isinstance(described, inspect.StructType)
    return frozenset(field.name for field in described.fields if _is_json(field.type))


def _is_json(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_is_json(each) for each in kind.types)
    return isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("json"))


@cache
def _by_uuid(table: Table[Any]) -> bool:
    return any(field.name == table.key and field.type is UUID for field in msgspec.structs.fields(table.row))


async def _column_types(connection: Connection, table: str) -> dict[str, str]:
    rows = await connection.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )
    return {row["attname"]: row["type"] for row in rows}
