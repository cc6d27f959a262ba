"""`/api/data-collections`: list them, read one, see how far it is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from db.pool import Pool
from events.types.collection import BackfillStatus
from service.auth.caller import Caller, caller_of
from service.data_collections.segmentation import SegmentType
from service.http import int_parameter, json_response, wait_position
from service.problems import Refused

COLUMNS = """collection_id, report_id, user_id, workflow_id, instance_id, name, lane, lookback_config,
  segmentation_config, timezone, as_of, window_start, window_end, backfill_status, segments_total,
  segments_active, segments_waiting, segments_completed, segments_failed, segments_cancelled, segments_skipped,
  row_count, created_at, started_at, finished_at, updated_at"""

MAX_PAGE = 200


def collection_routes(pool: Pool) -> list[Route]:
    """The routes over the read models behind `pool`."""

    async def list_all(request: Request) -> Response:
        await wait_position(pool, request)
        limit = int_parameter(request, "limit", 50, 1, MAX_PAGE)
        conditions, values = _filters(request, caller_of(request))
        rows = await pool.fetch(
            f"SELECT {COLUMNS} FROM report_data_collections WHERE {' AND '.join(conditions)}"  # noqa: S608
            f" ORDER BY created_at DESC, collection_id DESC LIMIT {limit + 1}",
            *values,
        )
        more = len(rows) > limit
        items = [shown(row) for row in rows[:limit]]
        return json_response({"items": items, "next_cursor": _cursor(rows[limit - 1]) if more else None})

    async def read(request: Request) -> Response:
        return json_response(shown(await find_collection(pool, request)))

    async def progress(request: Request) -> Response:
        collection = await find_collection(pool, request)
        segments = await pool.fetch(
            "SELECT segment_id, segment_number, week_start, week_end, status, attempts, amc_execution_id,"
            "       row_count, result_bytes, checksum, error, retry_at, dispatched_at, submitted_at, started_at,"
            "       finished_at"
            "  FROM report_data_weeks WHERE collection_id = $1 ORDER BY segment_number",
            collection["collection_id"],
        )
        finished = sum(collection[f"segments_{state}"] for state in ("completed", "failed", "cancelled", "skipped"))
        total = collection["segments_total"]
        return json_response(
            {
                "collection": shown(collection),
                "percent": round(100 * finished / total, 1) if total else 100.0,
                "segments": [dict(row) for row in segments],
            }
        )

    return [
        Route("/api/data-collections", list_all, methods=["GET"]),
        Route("/api/data-collections/{collection_id}", read, methods=["GET"]),
        Route("/api/data-collections/{collection_id}/progress", progress, methods=["GET"]),
    ]


async def find_collection(pool: Pool, request: Request) -> asyncpg.Record:
    """The collection that the path names, if it is the caller's team's; waits for `?min_position=` first."""
    await wait_position(pool, request)
    text = request.path_params["collection_id"]
    try:
        collection_id = UUID(text)
    except ValueError:
        raise Refused("not_found", f"{text!r} is not a collection's id") from None
    row = await pool.fetchrow(
        f"SELECT {COLUMNS} FROM report_data_collections WHERE collection_id = $1 AND team_id = $2",  # noqa: S608
        collection_id,
        caller_of(request).team_id,
    )
    if row is None:
        raise Refused(
            "not_found",
            f"there is no collection {collection_id}; one submitted just now shows with"
            " ?min_position= and the position that the submission answered",
        )
    return row


def shown(row: asyncpg.Record) -> dict[str, Any]:
    """The row as callers see it; its JSON columns stay JSON."""
    values = dict(row)
    for name in ("lookback_config", "segmentation_config"):
        if values[name] is not None:
            values[name] = msgspec.Raw(values[name].encode())
    return values


def _filters(request: Request, caller: Caller) -> tuple[list[str], list[Any]]:
    """Conditions and their values. The JSONB ones are containment tests, which the GIN indexes answer."""
    conditions, values = ["team_id = $1"], [caller.team_id]

    def add(condition: str, *more: Any) -> None:
        numbers = range(len(values) + 1, len(values) + 1 + len(more))
        values.extend(more)
        conditions.append(condition.format(*(f"${number}" for number in numbers)))

    if value := _choice(request, "lookback_type", ("relative", "custom")):
        add("lookback_config @> {}::jsonb", msgspec.json.encode({"type": value}).decode())
    if value := _choice(request, "segmentation", get_args(SegmentType)):
        add("segmentation_config @> {}::jsonb", msgspec.json.encode({"type": value}).decode())
    if value := _choice(request, "status", get_args(BackfillStatus)):
        add("backfill_status = {}", value)
    if value := request.query_params.get("cursor"):
        add("(created_at, collection_id) < ({}, {})", *_read_cursor(value))
    return conditions, values


def _choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """One of the choices from the query; refused, by name, where it is none of them."""
    value = request.query_params.get(name)
    if value and value not in choices:
        raise Refused("bad_request", f"{name} must be one of {', '.join(choices)}")
    return value


def _cursor(row: asyncpg.Record) -> str:
    return base64.urlsafe_b64encode(f"{row['created_at'].isoformat()} {row['collection_id']}".encode()).decode()


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        created, _, collection_id = base64.urlsafe_b64decode(text).decode().partition(" ")
        return datetime.fromisoformat(created).astimezone(UTC), UUID(collection_id)
    except (ValueError, OverflowError):
        raise Refused("bad_request", "cursor is not one that a list has answered") from None
