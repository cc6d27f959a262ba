"""`GET /api/data-collections/{id}/progress`: how far a collection is, what limits it now, and how long it may take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from service.amc.accounts import MOST_CONCURRENT
from service.data_collections.routes import (
    CollectionAnswer,
    SegmentAnswer,
    find_collection,
    segments_statement,
    shown,
)
from service.endpoints import Answer, Endpoint, Position, Query, read_query
from service.http import json_response, keeping_json
from service.words import counted

LimitReason = Literal[
    "paused", "held", "cancelling", "account", "first_segment", "parallel_limit", "user_slots", "team_slots",
    "account_slots", "instance_slots", "instance_day", "retry", "slowed", "resting",
    "stalled",
]  # fmt: skip


class Limit(Answer, frozen=True, kw_only=True):
    """Why no more segments run right now, in words; `until` is when that ends, if that is known."""

    reason: LimitReason
    detail: str
    until: datetime | None = None


class TimeLeft(Answer, frozen=True, kw_only=True):
    """When the collection may come to its end: as fast, and as slow, as 8 of 10 of its segments were."""

    earliest: datetime
    latest: datetime


class ProgressAnswer(Answer, frozen=True, kw_only=True):
    """How far a collection is: `percent` of its segments have come to their end. `per_hour` is how many did in the last
    hour, or since it began; `limited_by` is empty where nothing waits. `estimate` is null where nothing can be said."""

    collection: CollectionAnswer
    percent: float
    per_hour: float | None
    limited_by: list[Limit]
    estimate: TimeLeft | None
    segments: list[SegmentAnswer]


class ReadProgress(Query, frozen=True, kw_only=True):
    """Which segments to show: those that have days from `from` to `to`, both included."""

    since: date | None = msgspec.field(default=None, name="from")
    until: date | None = msgspec.field(default=None, name="to")
    min_position: Position = 0


# One row: the segments' own figures, and what admission and the calls to AMC count.
FIGURES = """
WITH holders AS (
  SELECT l.lane, l.collection_id, l.instance_id, i.account_id, l.team_id, l.user_id
    FROM segment_leases l JOIN amc_instances i USING (instance_id) WHERE l.holds_slot
)
SELECT clock_timestamp() AS now, c.sql_taken, i.max_concurrent, i.max_executions_per_day,
       coalesce((SELECT d.begun FROM instance_days d
                  WHERE d.instance_id = c.instance_id AND d.day = (clock_timestamp() AT TIME ZONE 'UTC')::date), 0)
         AS begun_today,
       own_slots, instance_slots, bulk_slots, account_slots, team_slots, user_slots,
       a.max_concurrent AS of_account, m.max_concurrent AS of_team, m.max_concurrent_per_user AS of_user,
       p.slowed_until, b.open_until, b.error AS failing,
       (SELECT count(*) FROM report_data_weeks w
         WHERE w.collection_id = c.collection_id AND w.stalled IS NOT NULL) AS stalled,
       (SELECT count(*) FROM report_data_weeks w
         WHERE w.collection_id = c.collection_id AND w.stalled IS NOT NULL AND w.status = 'pending') AS stalled_pending,
       (SELECT min(w.retry_at) FROM report_data_weeks w
         WHERE w.collection_id = c.collection_id AND w.status = 'waiting') AS next_retry,
       (SELECT count(*) FROM report_data_weeks w
         WHERE w.collection_id = c.collection_id AND w.status IN ('completed', 'failed', 'cancelled')
           AND w.finished_at > clock_timestamp() - interval '1 hour') AS ended_lately,
       (SELECT percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (
                 ORDER BY extract(epoch FROM w.finished_at - w.dispatched_at)::float)
          FROM report_data_weeks w
         WHERE w.collection_id = c.collection_id AND w.status = 'completed' AND w.dispatched_at IS NOT NULL) AS took
  FROM report_data_collections c
  JOIN amc_instances i ON i.instance_id = c.instance_id
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE h.collection_id = c.collection_id) AS own_slots,
           count(*) FILTER (WHERE h.instance_id = c.instance_id) AS instance_slots,
           count(*) FILTER (WHERE h.instance_id = c.instance_id AND h.lane = 'bulk') AS bulk_slots,
           count(*) FILTER (WHERE h.account_id = i.account_id) AS account_slots,
           count(*) FILTER (WHERE h.team_id = c.team_id) AS team_slots,
           count(*) FILTER (WHERE h.team_id = c.team_id AND h.user_id IS NOT DISTINCT FROM c.user_id) AS user_slots
      FROM holders h) used
  LEFT JOIN amc_account_states a ON a.account_id = i.account_id
  LEFT JOIN team_limits m ON m.team_id = c.team_id
  LEFT JOIN amc_paces p ON p.account_id = i.account_id AND p.slowed_until > clock_timestamp()
  LEFT JOIN amc_breakers b ON b.instance_id = c.instance_id AND b.open_until IS NOT NULL
 WHERE c.collection_id = $1
"""


def progress_route(pool: Pool) -> Endpoint:
    """The route over the read models and the leases behind `pool`."""

    async def progress(request: Request) -> Response:
        query = read_query(request, ReadProgress)
        row = await find_collection(pool, request, query.min_position)
        statement, values = segments_statement(row["collection_id"], query.since, query.until)
        segments = await pool.fetch(statement, *values)
        figures = await pool.fetchrow(FIGURES, row["collection_id"])
        total = row["segments_total"]
        answer: dict[str, Any] = {
            "collection": shown(row),
            "percent": round(100 * _ended(row) / total, 1) if total else 100.0,
            "per_hour": None,
            "limited_by": [],
            "estimate": None,
            "segments": [keeping_json(segment, "stalled", "nulls") for segment in segments],
        }
        if row["finished_at"] is None and figures is not None:
            answer["per_hour"] = per_hour(row, figures)
            answer["limited_by"] = list(limits(row, figures))
            answer["estimate"] = estimate(row, figures)
        return json_response(answer)

    return Endpoint(
        "GET",
        "/api/data-collections/{collection_id}/progress",
        progress,
        summary="See how far a collection is, segment by segment",
        query=ReadProgress,
        answer=ProgressAnswer,
        refusals=("not_found", "projection_behind"),
    )


def per_hour(row: asyncpg.Record, figures: asyncpg.Record) -> float | None:
    """Segments that came to their end in the last hour, as a rate; None before the first was dispatched."""
    if row["started_at"] is None:
        return None
    seconds = min(3600.0, max(1.0, (figures["now"] - row["started_at"]).total_seconds()))
    return float(round(figures["ended_lately"] * 3600 / seconds, 1))


def limits(row: asyncpg.Record, figures: asyncpg.Record) -> Iterator[Limit]:
    """What keeps segments that are not at their end from running, what a person did or must do first."""
    if stalled := figures["stalled"]:
        detail = f"{counted(stalled, 'segment')} failed or killed every worker; see `error`, then retry"
        yield Limit(reason="stalled", detail=detail)
    if row["cancelled"]:
        yield Limit(reason="cancelling", detail="it was cancelled; what AMC still runs is being ended")
        return
    if row["paused"]:
        yield Limit(reason="paused", detail="it is paused; resume it, and it goes on")
    if row["held"]:
        yield Limit(reason="held", detail="it is held; look at its `held`, then resume it, or cancel it")
    if row["held_by"]:
        yield Limit(reason="account", detail="the account of its instance must be connected again first")
    if until := figures["slowed_until"]:
        yield Limit(reason="slowed", detail=f"slowed by Amazon: 429, next try {until:%H:%M}", until=until)
    if until := figures["open_until"]:
        detail = f"AMC fails on this instance, and is tried again from time to time: {figures['failing']}"
        yield Limit(reason="resting", detail=detail, until=until)
    waiting = row["segments_waiting"]
    pending = row["segments_total"] - row["segments_active"] - waiting - _ended(row) - figures["stalled_pending"]
    if waiting:
        until = figures["next_retry"]
        yield Limit(reason="retry", detail=f"{waiting} wait to be tried again", until=until)
    if not pending or row["paused"] or row["held"] or row["held_by"]:
        return
    if reason := full(row, figures):
        yield Limit(reason=reason[0], detail=reason[1])
    begun, per_day = figures["begun_today"], figures["max_executions_per_day"]
    if per_day is not None and begun >= per_day:
        midnight = figures["now"].astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        yield Limit(
            reason="instance_day",
            detail=f"{begun} executions were begun on the instance today (UTC), as many as it may",
            until=midnight + timedelta(days=1),
        )


def full(row: asyncpg.Record, figures: asyncpg.Record) -> tuple[LimitReason, str] | None:
    """The first of the limits at once that is reached, the collection's own before those that it shares."""
    own, most = figures["own_slots"], figures["max_concurrent"]
    of_account = figures["of_account"] or MOST_CONCURRENT
    # One slot of an instance that has more than one is kept for scheduled and once-only runs.
    of_bulk = most - min(1, most - 1) if row["lane"] == "bulk" else None
    limits: list[tuple[LimitReason, int, int | None, str]] = [
        ("first_segment", own, None if figures["sql_taken"] else 1, "one runs first, to show that AMC takes the SQL"),
        ("parallel_limit", own, row["parallel_limit"], "{} at once, as it is set up"),
        ("user_slots", figures["user_slots"], figures["of_user"], "each person of the team may run {} at once"),
        ("team_slots", figures["team_slots"], figures["of_team"], "the team may run {} at once"),
        ("account_slots", figures["account_slots"], of_account, "the account runs {} at once over all instances"),
        ("instance_slots", figures["instance_slots"], most, "the instance runs {} at once, others have their share"),
        ("instance_slots", figures["bulk_slots"], of_bulk, "the instance runs {} at once beside scheduled runs"),
    ]
    for reason, used, limit, words in limits:
        if limit is not None and used >= limit:
            return reason, words.format(limit)
    return None


def estimate(row: asyncpg.Record, figures: asyncpg.Record) -> TimeLeft | None:
    """The range in which the rest may be done, if it goes on as it did; None where it does not go on by itself."""
    took: Any = figures["took"]
    if took is None or row["paused"] or row["cancelled"] or row["held"] or row["held_by"]:
        return None
    left = row["segments_total"] - _ended(row)
    rounds = math.ceil(left / min(row["parallel_limit"], figures["max_concurrent"]))
    low, high = (timedelta(seconds=rounds * seconds) for seconds in took)
    return TimeLeft(earliest=figures["now"] + low, latest=figures["now"] + high)


def _ended(row: asyncpg.Record) -> int:
    """How many segments have come to their end."""
    return sum(row[f"segments_{state}"] for state in ("completed", "failed", "cancelled", "skipped"))
