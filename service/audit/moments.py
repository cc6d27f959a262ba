"""How a thing stood at a moment, and what became of it from one moment to another, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.codec import encode
from events.envelope import RecordedEvent
from projections.history import SHOWN, Moment
from projections.rows import Table, columns, json_columns
from service.endpoints import Answer

TABLES = {table.name: table for tables in SHOWN.values() for table in tables}

Fields = dict[str, Any]


class LatestEvent(Answer, frozen=True, kw_only=True):
    """The newest event of its type in the stream, at the moment. `configuration` is its body in the type's current
    version, whichever `schema_version` it was recorded in."""

    event_type: str
    position: int
    stream_version: int
    schema_version: int
    recorded_at: datetime
    user_id: UUID | None
    configuration: dict[str, Any]


class FieldChange(Answer, frozen=True, kw_only=True):
    """What has another value than at the earlier moment. `of` is a read model, with the row's `key`, or an event type,
    with the key null. Where the row, or the event, was not there before, `field` and `before` are null and `after` is
    the whole of it."""

    of: str
    key: str | None
    field: str | None
    before: Any
    after: Any


class StateAnswer(Answer, frozen=True, kw_only=True):
    """How the stream's thing stood when `position` was the log's last. `version` and `recorded_at` are those of the
    stream's newest event; null for a segment that has none yet. `rows` are those of the read models, by table.
    `changes`, where an earlier moment was named: what is different since `since_position`."""

    stream: str
    team_id: str
    position: int
    version: int | None
    recorded_at: datetime | None
    rows: dict[str, list[dict[str, Any]]]
    latest: list[LatestEvent]
    since_position: int | msgspec.UnsetType = msgspec.UNSET
    changes: list[FieldChange] | msgspec.UnsetType = msgspec.UNSET


def state_answer(stream: str, moment: Moment, since: Moment | None) -> StateAnswer:
    """The answer; the thing must be there at the moment."""
    assert moment.team_id is not None
    newest = max(moment.latest, key=lambda event: event.stream_version, default=None)
    return StateAnswer(
        stream=stream,
        team_id=moment.team_id,
        position=moment.position,
        version=None if newest is None else newest.stream_version,
        recorded_at=None if newest is None else newest.recorded_at,
        rows={name: [_row(TABLES[name], row) for row in rows] for name, rows in moment.rows.items()},
        latest=[_latest(event) for event in moment.latest],
        since_position=msgspec.UNSET if since is None else since.position,
        changes=msgspec.UNSET if since is None else list(changes(since, moment)),
    )


def changes(before: Moment, after: Moment) -> Iterator[FieldChange]:
    """What is different at the later moment: of the rows, by read model and in the order in which they came to be, then
    of the bodies of the newest events. Nothing that was there is ever gone."""
    for name, rows in after.rows.items():
        table = TABLES[name]
        known = {getattr(row, table.key): _row(table, row) for row in before.rows.get(name, ())}
        for row in rows:
            key = getattr(row, table.key)
            yield from _compared(name, str(key), known.get(key), _row(table, row))
    bodies = {event.event_type: _body(event) for event in before.latest}
    for event in after.latest:
        yield from _compared(event.event_type, None, bodies.get(event.event_type), _body(event))


def _compared(of: str, key: str | None, before: Fields | None, after: Fields) -> Iterator[FieldChange]:
    if before is None:
        yield FieldChange(of=of, key=key, field=None, before=None, after=after)
        return
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield FieldChange(of=of, key=key, field=name, before=old, after=new)


def _row(table: Table[Any], row: msgspec.Struct) -> Fields:
    """Its columns, with what is JSON in them as JSON."""
    texts = json_columns(table)
    values = {name: getattr(row, name) for name in columns(table)}
    return {
        name: msgspec.json.decode(value) if name in texts and value is not None else value
        for name, value in values.items()
    }


def _latest(event: RecordedEvent) -> LatestEvent:
    return LatestEvent(
        event_type=event.event_type,
        position=event.position,
        stream_version=event.stream_version,
        schema_version=event.schema_version,
        recorded_at=event.recorded_at,
        user_id=event.user_id,
        configuration=_body(event),
    )


def _body(event: RecordedEvent) -> Fields:
    body: Fields = msgspec.json.decode(encode(event.data))
    return body
