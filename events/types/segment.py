"""Events of `segment-` streams: one segment's way through AMC. They are the progress of a backfill.

`segment.dispatched` issues the fence: its stream version. Every later append of a worker names the version
that it has seen, so a worker whose lease was given to another gets a conflict.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from events.configurations import ParameterValues

WorkStep = Literal["submit", "poll", "fetch"]
ErrorKind = Literal["transient", "permanent", "unknown"]


class Dispatched(msgspec.Struct, frozen=True):
    """A slot was given, or given on: `reason` is `admitted` for a new attempt, `lease_expired` where the
    current step is sent again because nobody was heard of."""

    collection_id: UUID
    attempt: int
    step: WorkStep
    reason: Literal["admitted", "lease_expired"]


class SubmissionStarted(msgspec.Struct, frozen=True):
    """The intent, committed before AMC is asked: what will be sent, so that a create whose answer is lost
    can be found again. Times are as sent: local without offset, the end exclusive."""

    collection_id: UUID
    attempt: int
    amc_workflow_id: str
    window_start: str
    window_end: str
    time_zone: str
    parameter_values: ParameterValues


class Submitted(msgspec.Struct, frozen=True):
    """AMC has the execution. `adopted`: it was found again after a lost answer."""

    collection_id: UUID
    execution_id: str
    adopted: bool


class Started(msgspec.Struct, frozen=True):
    """AMC was seen to run it."""

    collection_id: UUID
    execution_id: str


class ResultColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of the result as AMC declares it; `precision` and `scale` for a DECIMAL."""

    name: str
    data_type: str
    precision: int | None = None
    scale: int | None = None


class Executed(msgspec.Struct, frozen=True):
    """AMC has finished it with success; the slot is free, the result is still to be fetched."""

    collection_id: UUID
    execution_id: str
    columns: tuple[ResultColumn, ...]


class Completed(msgspec.Struct, frozen=True):
    """The result is stored. `checksum` is the SHA-256 of the Parquet file and its name in the store.

    `nulls`: for each column that has any, its nulls, which came as empty fields. Values that AMC has suppressed are
    among them; it marks them in no other way. Null where they were not counted yet.
    """

    collection_id: UUID
    execution_id: str
    rows: int
    bytes: int
    checksum: str
    nulls: dict[str, int] | None = None


class RetryScheduled(msgspec.Struct, frozen=True):
    """An attempt failed in a way that may pass; the next begins at `retry_at` (UTC) or later."""

    collection_id: UUID
    attempt: int
    kind: ErrorKind
    error: str
    retry_at: datetime


class Released(msgspec.Struct, frozen=True):
    """The attempt came to nothing through no fault of the segment, and does not count: AMC has no execution of
    it, the slot is free, and the segment is pending again. `account_held`: its account must be connected again."""

    collection_id: UUID
    attempt: int
    reason: Literal["account_held"]


class Failed(msgspec.Struct, frozen=True):
    """The segment has come to its end without a result; `error` is Amazon's own text where there is one."""

    collection_id: UUID
    attempt: int
    kind: ErrorKind
    error: str


class Stalled(msgspec.Struct, frozen=True):
    """Its workers failed or died `tries` times in a row at `step`, and nobody tries again until a person says so.
    `in_flight`: AMC may have an execution of it, so that it keeps its slot; without one, at the step `submit`, it is
    pending again, and the attempt does not count."""

    collection_id: UUID
    attempt: int
    step: WorkStep
    tries: int
    in_flight: bool
    error: str


class Resumed(msgspec.Struct, frozen=True):
    """A person lets a stalled segment go on from where it stands, with this step."""

    collection_id: UUID
    attempt: int
    step: WorkStep


class Cancelled(msgspec.Struct, frozen=True):
    """The segment has come to its end because its collection was cancelled. AMC has no execution of it that still
    runs. `attempt` is 0 where it never had a slot."""

    collection_id: UUID
    attempt: int


class Retried(msgspec.Struct, frozen=True):
    """A person lets a failed segment run again. `attempt` is the last one that it had; its next are counted from
    there."""

    collection_id: UUID
    attempt: int


class Split(msgspec.Struct, frozen=True):
    """Other segments of the collection take its place, each with a part of its days: it is run no more."""

    collection_id: UUID


class Superseded(msgspec.Struct, frozen=True):
    """A newer result of the same days is there, that of another segment; this one is kept."""

    by_segment_id: UUID
    by_collection_id: UUID


EVENTS = {
    ("segment.dispatched", 1): Dispatched,
    ("segment.submission_started", 1): SubmissionStarted,
    ("segment.submitted", 1): Submitted,
    ("segment.started", 1): Started,
    ("segment.executed", 1): Executed,
    ("segment.completed", 1): Completed,
    ("segment.retry_scheduled", 1): RetryScheduled,
    ("segment.released", 1): Released,
    ("segment.stalled", 1): Stalled,
    ("segment.resumed", 1): Resumed,
    ("segment.failed", 1): Failed,
    ("segment.cancelled", 1): Cancelled,
    ("segment.retried", 1): Retried,
    ("segment.split", 1): Split,
    ("segment.superseded", 1): Superseded,
}
