"""AMC's rules for SQL, checked on the tree that DuckDB's own parser gives for a query."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import duckdb
import msgspec

from service.amc.sandbox.parameters import SqlError

_AGGREGATES = frozenset(
    {
        *("any_value", "approx_count_distinct", "avg", "bool_and", "bool_or", "count", "count_if"),
        *("count_star", "first", "last", "max", "mean", "median", "min", "stddev", "stddev_pop"),
        *("stddev_samp", "sum", "var_pop", "var_samp", "variance"),
    }
)
_TABLE_FUNCTIONS = frozenset({"unnest", "generate_series", "range"})
_MADE_UP = 1 << 62
"""The parser marks what it added itself (the star of a VALUES list) with an impossible position."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What the sandbox must know of a query before it runs."""

    tables: tuple[str, ...]
    """Tables that it reads, in lower case."""
    metrics: tuple[bool, ...]
    """For each column of the result, whether it is an aggregate."""
    threshold_sql: str
    """The query with room for an aggregation threshold, or empty where it has no such place."""


def check(connection: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str], min_users: int = 0) -> Query:
    """The query behind `sql`, one SELECT over `tables` alone. Raises SqlError for what AMC refuses."""
    tree = _parse(connection, sql)
    if tree.get("error"):
        raise SqlError(f"Unable to parse query: {tree.get('error_message', 'syntax error')}")
    if len(tree["statements"]) != 1:
        raise SqlError("Unable to parse query: exactly one SELECT statement is expected.")
    root = tree["statements"][0]["node"]
    nodes = list(_walk(root))
    known = {name.lower() for name in tables} | {
        str(entry["key"]).lower() for node in nodes for entry in node.get("cte_map", {}).get("map", [])
    }
    read = [node for node in nodes if node.get("type") == "BASE_TABLE"]
    for node in nodes:
        _check_node(node)
    for node in read:
        name = str(node.get("table_name", ""))
        if node.get("schema_name") or node.get("catalog_name") or name.lower() not in known:
            raise SqlError(f"Unable to compile query: Object '{name}' not found.")
    if any(modifier.get("type") == "ORDER_MODIFIER" for modifier in root.get("modifiers", [])):
        raise SqlError("Unable to compile query: ORDER BY is not supported in the outermost query.")
    columns = _outermost(root)
    if any(column.get("type") == "COLUMN_REF" and _last(column) == "user_id" for column in columns):
        raise SqlError("Unable to compile query: column 'user_id' is not supported in the final SELECT.")
    return Query(
        tables=tuple({str(node["table_name"]).lower() for node in read} & {name.lower() for name in tables}),
        metrics=tuple(_is_metric(column) for column in columns),
        threshold_sql=_with_threshold(connection, tree, root, min_users) if min_users else "",
    )


def _check_node(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if kind == "STAR" and node.get("query_location", 0) < _MADE_UP:
        raise SqlError("Unable to compile query: SELECT * is not supported.")
    if kind in {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"}:
        raise SqlError("Unable to compile query: LIMIT is not supported.")
    if kind == "SHOW_REF":
        raise SqlError("Unable to parse query: only SELECT is supported.")
    if kind == "JOIN" and node.get("join_type") == "RIGHT":
        raise SqlError("Unable to compile query: RIGHT JOIN is not supported.")
    if kind == "TABLE_FUNCTION":
        name = str(node.get("function", {}).get("function_name", ""))
        if name.lower() not in _TABLE_FUNCTIONS:
            raise SqlError(f"Unable to compile query: No match found for function '{name}'.")


def _with_threshold(
    connection: duckdb.DuckDBPyConnection, tree: dict[str, Any], root: dict[str, Any], min_users: int
) -> str:
    """The query with `HAVING COUNT(DISTINCT user_id) >= n` added: only over one table, aggregated."""
    if root.get("type") != "SELECT_NODE" or root["from_table"].get("type") != "BASE_TABLE":
        return ""
    if not root["group_expressions"] and not any(_is_metric(column) for column in root["select_list"]):
        return ""
    enough = f"count(DISTINCT user_id) >= {int(min_users)}"
    sample = _parse(connection, f"SELECT 1 HAVING {enough} AND true")
    both = sample["statements"][0]["node"]["having"]
    both["children"][1] = root["having"] or both["children"][1]
    root["having"] = both
    encoded = msgspec.json.encode(tree).decode()
    row = connection.execute("SELECT json_deserialize_sql(CAST($tree AS JSON))", {"tree": encoded}).fetchone()
    return str(row[0]) if row else ""


def _parse(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    row = connection.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchone()
    return msgspec.json.decode(row[0], type=dict[str, Any]) if row else {"error": True}


def _outermost(root: dict[str, Any]) -> list[dict[str, Any]]:
    while root.get("type") == "SET_OPERATION_NODE" and root.get("children"):
        root = root["children"][0]
    columns: list[dict[str, Any]] = root.get("select_list", [])
    return columns


def _is_metric(column: dict[str, Any]) -> bool:
    # Amazon types COUNT(DISTINCT user_id) as a dimension (recorded answer).
    return any(
        node.get("type") == "FUNCTION" and node.get("function_name") in _AGGREGATES and not node.get("distinct")
        for node in _walk(column)
    )


def _last(column: dict[str, Any]) -> str:
    return str(column["column_names"][-1]).lower()


def _walk(value: object) -> Iterator[dict[str, Any]]:
    # Not recursive: a long chain of ANDs is a deep tree.
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
