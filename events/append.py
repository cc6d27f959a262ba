"""Appending: requests, their verdicts, and the one call that takes many requests to the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from db.pool import Connection
from events.codec import UnstorableText, encode
from events.envelope import NewEvent
from events.personal import Unsealed, personal_fields, unsealed_fields
from events.registry import event_type_of

Expected = int | Literal["none", "any"]

# What packs a column into one text. JSON escapes both characters, and no name or id may hold them.
SEPARATOR = "\x1f"
NULL = "\x1e"


class Write(msgspec.Struct, frozen=True):
    """Events for one stream, and the version that it must have: a number, `none` (it must not exist) or `any`.

    Without events it records nothing, and makes what the request's other writes record depend on that version.
    """

    stream: str
    expected: Expected
    events: tuple[NewEvent, ...]


class IdempotencyKey(msgspec.Struct, frozen=True):
    """A caller's key with its whole scope, the digest of what was asked, and the answer to give again."""

    key: str
    digest: bytes
    status: int = 200
    answer: str = "{}"


class AppendRequest(msgspec.Struct, frozen=True):
    """Writes that are recorded together or not at all; no stream twice."""

    writes: tuple[Write, ...]
    key: IdempotencyKey | None = None


class Appended(msgspec.Struct, frozen=True):
    """The events are in the log at `first_position` to `last_position`; `versions` are the streams' new ones.

    `duplicate`: they were recorded by an earlier request; `answer` and `status` are then the first ones, where
    that request had an idempotency key.
    """

    first_position: int
    last_position: int
    versions: tuple[int, ...]
    duplicate: bool = False
    status: int | None = None
    answer: str | None = None


class Conflict(Exception):
    """A stream was not at the expected version. `actual` has the version of each stream of the request."""

    def __init__(self, actual: dict[str, int]) -> None:
        super().__init__(f"expected version does not hold; the streams are at {actual}")
        self.actual = actual


class HalfKnown(Exception):
    """Some of the request's event ids are recorded and some are not: it was changed since it was first sent."""


class KeyReused(Exception):
    """The idempotency key came before with another content."""


class EncodedRequest:
    """A request with its bodies encoded, ready to be laid into a batch. Bad text raises here, for it alone,
    and so does a request that records nothing (ValueError), or a personal text in the open (Unsealed)."""

    __slots__ = ("counts", "marks", "request", "rows", "size")

    def __init__(self, request: AppendRequest) -> None:
        self.request = request
        # One flat row per event, in the order of append_events' arrays from event_ids on, ready to be packed, and how
        # many of them each write has.
        self.rows: list[tuple[str, ...]] = []
        self.counts = [len(write.events) for write in request.writes]
        self.size = 0
        for write in request.writes:
            for event in write.events:
                data = event.data
                kind = event_type_of(data)
                if personal_fields(type(data)) and (fields := unsealed_fields(data)):
                    raise Unsealed(f"{type(data).__name__}{fields[0][1]} is personal text that is not sealed")
                configuration, metadata = encode(data), encode(event.metadata)
                self.size += len(configuration) + len(metadata)
                self.rows.append(
                    (
                        event.id.hex,
                        kind.name,
                        str(kind.version),
                        event.team_id,
                        NULL if event.user_id is None else event.user_id.hex,
                        NULL if event.workflow_id is None else event.workflow_id,
                        NULL if event.step_completed is None else event.step_completed,
                        configuration,
                        metadata,
                    )
                )
        if not self.rows:
            raise ValueError("the request has no event: there is nothing to record")
        # What makes it the same as another: its first event, which no other request has, and its key.
        first = self.rows[0][0]
        self.marks = (first,) if request.key is None else (first, request.key.key)

    @property
    def event_types(self) -> list[str]:
        """The type of each of its events."""
        return [row[1] for row in self.rows]


def _unpacked(argument: int, kind: str) -> str:
    """The SQL that makes an array again of a packed column."""
    array = f"string_to_array(${argument}, E'\\x1f', E'\\x1e')"
    return array if kind == "text" else f"{array}::{kind}[]"


_ARGUMENTS = ("text", None, None, None, "int", "text", "int",
              "int", "uuid", "text", "int", "text", "uuid", "text", "text", "text", "text")  # fmt: skip
APPEND = "SELECT * FROM append_events({})".format(  # noqa: S608
    ", ".join(_unpacked(number, kind) if kind else f"${number}" for number, kind in enumerate(_ARGUMENTS, 1))
)


def batch_arguments(batch: Sequence[EncodedRequest]) -> list[Any]:
    """What `APPEND` takes for these requests: a packed column, or a plain array, for each of the function's."""
    keys: list[IdempotencyKey | None] = []
    writes: list[tuple[str, str, str]] = []
    event_writes: list[str] = []
    events: list[tuple[str, ...]] = []
    for number, encoded in enumerate(batch, 1):
        keys.append(encoded.request.key)
        for write, count in zip(encoded.request.writes, encoded.counts, strict=True):
            writes.append((str(number), write.stream, _EXPECTED.get(write.expected) or str(write.expected)))
            event_writes += [str(len(writes))] * count
        events += encoded.rows
    keyed = any(keys)
    return [
        _packed([NULL if key is None else key.key for key in keys]),
        [key and key.digest for key in keys] if keyed else None,
        [key and key.status for key in keys] if keyed else None,
        [key and key.answer for key in keys] if keyed else None,
        *(_packed(column) for column in zip(*writes, strict=True)),
        _packed(event_writes),
        *(_packed(column) for column in zip(*events, strict=True)),
    ]


def _packed(column: Sequence[str]) -> str:
    """A column as one text: asyncpg spends more on the elements of arrays than all the rest of an append takes."""
    text = SEPARATOR.join(column)
    if text.count(SEPARATOR) != len(column) - 1:
        raise UnstorableText("a name or id holds U+001F; remove it")
    return text


_EXPECTED: dict[Expected, str] = {"none": "0", "any": NULL}


async def append_batch(
    connection: Connection, batch: Sequence[EncodedRequest]
) -> list[Appended | Conflict | HalfKnown | KeyReused]:
    """Sends many requests as one call and one commit; answers one verdict for each, in order.

    What PostgreSQL refuses of one request (a text that it cannot hold, a name too long for an index) fails the
    whole batch: the caller sends each on its own then.
    """
    row = await connection.fetchrow(APPEND, *batch_arguments(batch))
    assert row is not None
    # Taken out of the record once: to ask it again for each of the requests takes longer than all the rest.
    versions_of = row["versions"]
    verdicts: list[Appended | Conflict | HalfKnown | KeyReused] = []
    write = 0
    for encoded, verdict, first, last, status, answer in zip(
        batch,
        row["verdicts"],
        row["first_positions"],
        row["last_positions"],
        row["statuses"],
        row["answers"],
        strict=True,
    ):
        writes = encoded.request.writes
        versions = tuple(versions_of[write : write + len(writes)])
        write += len(writes)
        match verdict:
            case "appended":
                verdicts.append(Appended(first, last, versions))
            case "duplicate":
                verdicts.append(Appended(first, last, versions, duplicate=True, status=status, answer=answer))
            case "conflict":
                verdicts.append(Conflict({w.stream: v for w, v in zip(writes, versions, strict=True)}))
            case "half_known":
                verdicts.append(HalfKnown("some of the events are recorded already and some are not"))
            case "key_reused":
                verdicts.append(KeyReused("the idempotency key came before with another content"))
            case other:
                raise AssertionError(other)
    return verdicts
