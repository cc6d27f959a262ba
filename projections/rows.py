"""Rows of read models in memory: loaded by key, changed by events, written back as one statement per table.

A table is addressed by its bare name. A rebuild creates temporary tables of the same names, which PostgreSQL
then finds first, so that the very same code fills them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from db.pool import Connection

Row = TypeVar("Row", bound=msgspec.Struct)


class ProjectionError(Exception):
    """An event cannot be applied. The projection stops at it; nothing is skipped."""


class Table(msgspec.Struct, Generic[Row], frozen=True):
    """A read model's table; the struct's fields are its columns, `key` its primary key."""

    name: str
    key: str
    row: type[Row]


class Rows:
    """The rows that a batch of events touches, by table and key."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, Any], msgspec.Struct] = {}
        self._wanted: dict[str, tuple[Table[Any], set[Any]]] = {}
        self._followed: dict[tuple[str, str], tuple[Table[Any], str, Table[Any], set[Any]]] = {}
        self._changed: dict[str, tuple[Table[Any], dict[Any, msgspec.Struct]]] = {}

    def want(self, table: Table[Any], key: Any) -> None:
        """Says that a row will be needed, so that `load` brings all of them in one query per table."""
        self._wanted.setdefault(table.name, (table, set()))[1].add(key)

    def follow(self, table: Table[Any], key: Any, column: str, target: Table[Any]) -> None:
        """Says that the row of `target` will be needed that this row names in a column, if it names one."""
        self.want(table, key)
        self._followed.setdefault((table.name, column), (table, column, target, set()))[3].add(key)

    async def load(self, connection: Connection) -> None:
        """Brings what is wanted, then what that leads on to."""
        await self._load(connection)
        for table, column, target, keys in self._followed.values():
            found = (self.read(table, key) for key in keys)
            for key in {getattr(row, column) for row in found if row is not None} - {None}:
                self.want(target, key)
        await self._load(connection)

    async def _load(self, connection: Connection) -> None:
        wanted, self._wanted = self._wanted, {}
        for table, keys in wanted.values():
            found = await connection.fetch(
                f"SELECT {', '.join(columns(table))} FROM {table.name} WHERE {table.key} = ANY ($1)",  # noqa: S608
                list(keys),
            )
            for row in found:
                self._rows.setdefault((table.name, row[table.key]), table.row(**row))

    def add(self, table: Table[Row], row: Row) -> None:
        """A new row; raises ProjectionError where its key is taken."""
        key = getattr(row, table.key)
        if (table.name, key) in self._rows:
            raise ProjectionError(f"{table.name} already has {key}")
        self._rows[table.name, key] = row
        self._mark(table, key, row)

    def read(self, table: Table[Row], key: Any) -> Row | None:
        """The row as it stands, not to be changed; None where no event has made it."""
        return self._rows.get((table.name, key))  # type: ignore[return-value]

    def change(self, table: Table[Row], key: Any) -> Row:
        """The row, to be changed in place; raises ProjectionError where no event has made it."""
        row = self._rows.get((table.name, key))
        if row is None:
            raise ProjectionError(f"{table.name} has no {key}")
        self._mark(table, key, row)
        return row  # type: ignore[return-value]

    def find(self, table: Table[Row], key: Any) -> Row | None:
        """The row, to be changed in place; None where no event has made it."""
        return self.change(table, key) if (table.name, key) in self._rows else None

    def _mark(self, table: Table[Any], key: Any, row: msgspec.Struct) -> None:
        self._changed.setdefault(table.name, (table, {}))[1][key] = row

    async def write(self, connection: Connection, order: Iterable[Table[Any]]) -> None:
        """Writes the changed rows, parents before children as `order` has them."""
        for table in order:
            if table.name not in self._changed:
                continue
            rows = list(self._changed[table.name][1].values())
            names = columns(table)
            types = await _column_types(connection, table.name)
            arrays = ", ".join(f"${n}::{types[name]}[]" for n, name in enumerate(names, 1))
            updates = ", ".join(f"{name} = excluded.{name}" for name in names if name != table.key)
            await connection.execute(
                f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608
                f" ON CONFLICT ({table.key}) DO UPDATE SET {updates}",
                *([getattr(row, name) for row in rows] for name in names),
            )


def columns(table: Table[Any]) -> list[str]:
    """The table's columns, as the struct declares them."""
    return list(table.row.__struct_fields__)


async def _column_types(connection: Connection, table: str) -> dict[str, str]:
    rows = await connection.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )
    return {row["attname"]: row["type"] for row in rows}
