"""Which events a page of activity shows, and the SQL that finds them.

The log has few indexes, as each append pays for them. The positions that pass come from `activity_blocks`, an
index beside it, newest or oldest first: a page costs the same at any length of the log, wherever it begins. What
is found is read through the view `report_builder_activity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from events.envelope import Category, Step
from events.registry import REGISTRY
from projections.activity import BLOCK

Order = Literal["newest", "oldest"]
Facet = tuple[str, list[str]]

STEP_TYPES: dict[Step, str] = {
    "parameters": "report.parameters_set",
    "schedule": "report.schedule_set",
    "review": "report.reviewed",
    "submit": "report.submitted",
}

COLUMNS = (
    "position, id, recorded_at, event_type, step_completed, stream, stream_version, entity, entity_id, team_id,"
    " user_id, workflow_id, workflow_name, correlation_id, schema_version"
)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is to show; None lets everything through. `event_type` is the beginning of a type's name.
    `since` is included, `until` is not. Without `team_id` the events of all teams are meant."""

    team_id: str | None = None
    user_id: UUID | None = None
    workflow_id: str | None = None
    entity: Category | None = None
    stream: str | None = None
    event_type: str | None = None
    step: Step | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def types(self) -> list[str] | None:
        """The event types that can pass; None where all can."""
        if self.event_type is None and self.entity is None and self.step is None:
            return None
        return [
            name
            for name in REGISTRY
            if name.startswith(self.event_type or "")
            and (self.entity is None or name.startswith(f"{self.entity}."))
            and (self.step is None or name == STEP_TYPES[self.step])
        ]


class Arguments:
    """Values of a statement, in the order of their numbers."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


Statement = tuple[str, list[Any]]

BOUNDS = f"""
SELECT (coalesce((SELECT block FROM activity_blocks WHERE facet = 'all' AND value = '' ORDER BY block DESC LIMIT 1), -1)
        + 1) * {BLOCK} AS indexed,
       coalesce((SELECT max(position) FROM report_builder_audit), 0) AS head,
       position_before($1::timestamptz) AS before_since, position_before($2::timestamptz) AS before_until
"""  # noqa: S608
"""The last positions of the index and of the log, and where the times lie in it (null for null)."""


def facets(filters: Filters) -> list[Facet]:
    """What an event must have: of each facet one of the values. All but the first have one value alone."""
    team, types = filters.team_id, filters.types
    found: list[Facet] = []
    if types is not None:
        found.append(("team_type", [f"{team} {name}" for name in types]) if team else ("type", types))
    if filters.workflow_id is not None:
        found.append(("workflow", [filters.workflow_id]))
    if filters.user_id is not None:
        found.append(("user", [str(filters.user_id)]))
    if team and types is None:
        found.append(("team", [team]))
    return found or [("all", [""])]


def blocks_statement(filters: Filters, order: Order, first: int, last: int, limit: int) -> Statement:
    """The next blocks of `first` to `last` that hold events that pass, at most `limit`, in the page's order, and
    which of their positions these are."""
    arguments = Arguments()
    (facet, values), *others = facets(filters)
    joined, bits = "", "b.bits"
    for number, (name, (value,)) in enumerate(others):
        joined += (
            f" JOIN activity_blocks o{number} ON o{number}.facet = {arguments.add(name)}"
            f" AND o{number}.value = {arguments.add(value)} AND o{number}.block = b.block"
        )
        bits += f" & o{number}.bits"
    direction = _direction(order)
    # Of each value as many blocks as of all together: none of these is newer than what a value leaves out.
    return (
        "SELECT found.block, bit_or(found.bits) AS bits"  # noqa: S608
        f" FROM unnest({arguments.add(values)}::text[]) AS wanted(value) CROSS JOIN LATERAL ("
        f"   SELECT b.block, {bits} AS bits FROM activity_blocks b{joined}"
        f"    WHERE b.facet = {arguments.add(facet)} AND b.value = wanted.value"
        f"      AND b.block BETWEEN {arguments.add(first)} AND {arguments.add(last)}"
        f"      {f'AND ({bits}) <> 0::bit({BLOCK})' if others else ''}"
        f"    ORDER BY b.block {direction} LIMIT {limit}) AS found"
        f" GROUP BY found.block ORDER BY found.block {direction} LIMIT {limit}",
        arguments.values,
    )


def positions_statement(
    filters: Filters, order: Order, positions: Sequence[int], limit: int, *, bodies: bool
) -> Statement:
    """Of the events at these positions those that pass, at most `limit`, in the page's order."""
    arguments = Arguments()
    return (
        f"SELECT {_columns(bodies)} FROM report_builder_activity a"  # noqa: S608
        f" WHERE a.position = ANY ({arguments.add(list(positions))}::bigint[]){_conditions(filters, arguments)}"
        f" ORDER BY a.position {_direction(order)} LIMIT {limit}",
        arguments.values,
    )


def stream_statement(filters: Filters, order: Order, after: int, before: int, limit: int, *, bodies: bool) -> Statement:
    """What passes in the one stream of the filters, between the positions."""
    arguments = Arguments()
    stream = arguments.add(filters.stream)
    return (
        f"SELECT {_columns(bodies)} FROM report_builder_activity a WHERE a.stream = {stream}"  # noqa: S608
        f"   AND a.stream_version > stream_version_at({stream}, {arguments.add(after)})"
        f"   AND a.stream_version <= stream_version_at({stream}, {arguments.add(before - 1)})"
        f"   {_conditions(filters, arguments)}"
        f" ORDER BY a.stream_version {_direction(order)} LIMIT {limit}",
        arguments.values,
    )


def _columns(bodies: bool) -> str:
    return f"{COLUMNS}, configuration" if bodies else COLUMNS


def _direction(order: Order) -> str:
    return "DESC" if order == "newest" else "ASC"


def _conditions(filters: Filters, arguments: Arguments) -> str:
    """What each event is held against, whatever the index says of it."""
    found = [
        f" AND a.{column} = {arguments.add(value)}"
        for column, value in (
            ("team_id", filters.team_id),
            ("user_id", filters.user_id),
            ("workflow_id", filters.workflow_id),
            ("step_completed", filters.step),
        )
        if value is not None
    ]
    if (types := filters.types) is not None:
        found.append(f" AND a.event_type = ANY ({arguments.add(types)}::text[])")
    return "".join(found)
