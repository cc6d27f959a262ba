"""Streams for many readers of a process: what is asked for while one look is under way is answered by the next one."""

from __future__ import annotations

from collections.abc import Sequence

from db.pool import Pool
from db.together import Together
from events.envelope import RecordedEvent
from events.reader import COLUMNS, LAST_VERSION

Wanted = tuple[str, int]
"""A stream, and the version after which it is wanted; 0 for all of it."""

# Stream by stream, each by the index of its versions, whatever the planner thinks of their number.
_WANTED = f"""
SELECT wanted.number, {", ".join(f"of_stream.{column}" for column in COLUMNS.split(", "))}
  FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS wanted(name, after, number)
 CROSS JOIN LATERAL (SELECT * FROM report_builder_audit a
                      WHERE a.stream = wanted.name AND a.stream_version > wanted.after
                      ORDER BY a.stream_version LIMIT {LAST_VERSION}) AS of_stream
 ORDER BY wanted.number, of_stream.stream_version
"""  # noqa: S608


class Streams:
    """Reads streams of the log, as they stand no earlier than when they are asked for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._together: Together[tuple[Wanted, ...], list[list[RecordedEvent]]] = Together(self._read)

    async def read(self, *wanted: Wanted) -> list[list[RecordedEvent]]:
        """The events of each stream, by version; an empty list where there is none."""
        return await self._together.ask(wanted)

    async def _read(self, asked: Sequence[tuple[Wanted, ...]]) -> list[list[list[RecordedEvent]]]:
        found: dict[Wanted, list[RecordedEvent]] = {wanted: [] for each in asked for wanted in each}
        rows = await self._pool.fetch(_WANTED, [name for name, _ in found], [after for _, after in found])
        events = list(found.values())
        for number, *columns in rows:
            events[number - 1].append(RecordedEvent(*columns))
        return [[found[wanted] for wanted in each] for each in asked]
