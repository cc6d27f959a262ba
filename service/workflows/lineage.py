"""Where distinct counts of a statement end: followed from where they are counted, through subqueries and common
table expressions, to the columns of the result. Pure; works on the tree of DuckDB's `json_serialize_sql`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Node = dict[str, Any]
USER = "user_id"
_COUNTS = frozenset({"count", "count_star", "count_if"})
_NO_COUNTS = frozenset({"any_value", "array_agg", "collect", "listagg", "max", "min"})


class Relation(msgspec.Struct, frozen=True):
    """What a query or a table answers: its columns in order, each with whether distinct counts end in it, and
    whether it has a row per user, so that counting its rows counts users."""

    columns: tuple[tuple[str, bool], ...] = ()
    row_per_user: bool = False


Sources = Mapping[str, Relation]
BASE_TABLE = Relation()


class Statement:
    """One statement: its `tables` and `columns`, in small letters, as often as they stand there, and the names
    of its result's `distinct_columns`."""

    def __init__(self, root: Node) -> None:
        nodes = list(_walk(root))
        defined = {_lower(entry["key"]) for node in nodes for entry in (node.get("cte_map") or {}).get("map", [])}
        read = [_lower(node["table_name"]) for node in nodes if node.get("type") == "BASE_TABLE"]
        self.tables = [table for table in read if table not in defined]
        self.columns = [_lower(node["column_names"][-1]) for node in nodes if node.get("type") == "COLUMN_REF"]
        self.distinct_columns = [name for name, distinct in _query(root, {}).columns if distinct]


def count_names(function: str, first_word: str) -> bool | None:
    """Whether a call gives what does not add up: True for an approximation, False for a distinct aggregate,
    None for neither. Both are in small letters; `first_word` is the first one within the parentheses."""
    if function.startswith("approx"):
        return True
    if first_word == "distinct" and function not in _NO_COUNTS:
        return False
    return None


def _query(node: Node, known: Sources) -> Relation:
    known = dict(known)
    for entry in (node.get("cte_map") or {}).get("map", []):
        known[_lower(entry["key"])] = _named(
            _query(entry["value"]["query_node"], known), entry["value"].get("aliases") or []
        )
    if node["type"] == "SET_OPERATION_NODE":
        return _united([_query(child, known) for child in node["children"]])
    if node["type"] != "SELECT_NODE":
        return BASE_TABLE
    sources = _sources(node.get("from_table") or {}, known)
    columns: list[tuple[str, bool]] = []
    for number, expression in enumerate(node["select_list"], 1):
        earlier = {"": Relation(tuple(columns))}  # a column may name an earlier one of the same list
        distinct = _is_distinct(expression, {**earlier, **sources}, known)
        columns.append((_name(expression) or f"column {number}", distinct))
    return Relation(tuple(columns), _has_row_per_user(node, sources))


def _named(relation: Relation, names: list[str]) -> Relation:
    """With the names of `WITH t (a, b) AS …`, where there are any."""
    columns = [
        (names[index] if index < len(names) else name, distinct)
        for index, (name, distinct) in enumerate(relation.columns)
    ]
    return Relation(tuple(columns), relation.row_per_user)


def _united(parts: list[Relation]) -> Relation:
    columns = tuple(
        (name, any(part.columns[index][1] for part in parts if index < len(part.columns)))
        for index, (name, _) in enumerate(parts[0].columns)
    )
    return Relation(columns, any(part.row_per_user for part in parts))


def _sources(table: Node, known: Sources) -> dict[str, Relation]:
    """What the FROM clause reads, by the name that columns call it by."""
    found: dict[str, Relation] = {}
    waiting = [table]
    while waiting:
        node = waiting.pop()
        match node.get("type"):
            case "JOIN":
                waiting += (node["left"], node["right"])
            case "BASE_TABLE":
                name = _lower(node["table_name"])
                found[_lower(node.get("alias")) or name] = known.get(name, BASE_TABLE)
            case "SUBQUERY":
                relation = _named(_query(node["subquery"]["node"], known), node.get("column_name_alias") or [])
                found[_lower(node.get("alias")) or f"subquery {len(found)}"] = relation
    return found


def _is_distinct(expression: Node, sources: Sources, known: Sources) -> bool:
    for node in _walk(expression, into_subqueries=False):
        if node.get("class") == "FUNCTION":
            name = _lower(node["function_name"])
            if count_names(name, "distinct" if node.get("distinct") else "") is not None:
                return True
            if name in _COUNTS and any(source.row_per_user for source in sources.values()):
                return True
        elif node.get("class") == "SUBQUERY":
            if any(distinct for _, distinct in _query(node["subquery"]["node"], known).columns):
                return True
        elif node.get("type") == "COLUMN_REF" and _leads_to_distinct(node["column_names"], sources):
            return True
    return False


def _leads_to_distinct(names: list[str], sources: Sources) -> bool:
    column = _lower(names[-1])
    of = [sources[_lower(names[-2])]] if len(names) > 1 and _lower(names[-2]) in sources else sources.values()
    return any(_lower(name) == column and distinct for source in of for name, distinct in source.columns)


def _has_row_per_user(node: Node, sources: Sources) -> bool:
    """Whether the query groups by user, takes distinct users, or passes on rows that are one per user."""
    selected = node["select_list"]
    kept = any(_is_user(expression) for expression in selected)
    if grouped := node.get("group_expressions") or []:
        named = {_lower(expression.get("alias")) for expression in selected if _is_user(expression)}
        places = {str(number) for number, expression in enumerate(selected, 1) if _is_user(expression)}
        return any(
            _is_user(expression) or _name(expression) in named - {""} or _constant(expression) in places
            for expression in grouped
        )
    if any(modifier.get("type") == "DISTINCT_MODIFIER" for modifier in node.get("modifiers") or []):
        return kept
    return kept and any(source.row_per_user for source in sources.values())


def _is_user(expression: Node) -> bool:
    return expression.get("type") == "COLUMN_REF" and _lower(expression["column_names"][-1]) == USER


def _constant(expression: Node) -> str | None:
    literal = expression.get("literal") or {}
    return literal.get("text") if expression.get("type") == "VALUE_CONSTANT" else None


def _name(expression: Node) -> str:
    if alias := expression.get("alias"):
        return str(alias)
    return str(expression["column_names"][-1]) if expression.get("type") == "COLUMN_REF" else ""


def _lower(name: str | None) -> str:
    return (name or "").lower()


def _walk(value: object, *, into_subqueries: bool = True) -> Iterator[Node]:
    # Not recursive: a long chain of ANDs is a deep tree.
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            if into_subqueries or item.get("class") != "SUBQUERY":
                waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
