"""`POST /api/data-collections`: a window set to work by itself, without a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.configurations import OnceStep, ParametersStep, SegmentationConfig
from events.envelope import new_id
from events.types.collection import Lane
from events.validation import Problem
from service.auth.caller import Caller
from service.builder import decide
from service.builder.ground import gather_facts, load_ground, read_as_of, refuse_lost_days
from service.builder.models import Ground, Name
from service.builder.preview import collected_window, skipped
from service.clock import Clock
from service.commands import Commands, Decision
from service.data_collections.choice import Past, Skip, skips
from service.data_collections.plan import plan_collection, plan_segments
from service.data_collections.windows import Window
from service.data_collections.writes import created_write
from service.endpoints import Endpoint, Recorded
from service.footing import footing_of
from service.persons.texts import PersonalTexts
from service.problems import Refused
from service.teams.limits import Teams


class CreateCollection(ParametersStep, frozen=True, kw_only=True):
    """A window of a workflow's results, cut into segments or, without a segmentation, fetched whole. `segments` are
    the first days of the only ones to run."""

    name: Name = "Untitled collection"
    segmentation_config: SegmentationConfig | None = None
    as_of: date | None = None
    segments: Annotated[tuple[date, ...], Meta(min_length=1)] | None = None

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        yield from super().rules(given)
        if given.get("segments") is not None and given.get("segmentation_config") is None:
            yield Problem("/segments", "names segments of a window that is not cut; add a segmentation_config")


class CollectionCreatedAnswer(Recorded, frozen=True, kw_only=True):
    """The collection that was set to work; the dates of its window are both included."""

    collection_id: UUID
    window_start: date
    window_end: date
    segments_total: int
    segments_skipped: int


def collection_creation(pool: Pool, commands: Commands, teams: Teams, clock: Clock, texts: PersonalTexts) -> Endpoint:
    """The endpoint over the log that `pool` reads and `commands` appends to."""

    async def create(request: Request) -> Response:
        async def decide_create(body: CreateCollection, caller: Caller) -> Decision:
            ground = await load_ground(footing_of(request), body.workflow_id, body.instance_id, caller)
            as_of = read_as_of(body.as_of, body.timezone or ground.instance.time_zone, clock)
            step = OnceStep(segmentation_config=body.segmentation_config)
            parameters, problems = decide.checked_parameters(ground, body, as_of)
            problems += decide.segmentation_problems(body.segmentation_config, ground, "/segmentation_config")
            if problems:
                raise Refused("invalid", "the collection cannot run", problems=problems)
            window = collected_window(parameters, step, as_of)
            refuse_lost_days(window, parameters.timezone, clock, ground)
            event_id = new_id()
            sealed = await texts.seal_values(
                ground.workflow.parameters, parameters.parameters, caller.user_id, event_id
            )
            parameters = replace(parameters, parameters=sealed)
            facts = await gather_facts(pool, caller, parameters, step, ground, as_of)
            left_out = skipped(step, window, facts.past, ground.instance.final_after_days)
            if body.segments is not None:
                left_out = _all_but(body.segments, body.segmentation_config, window, facts.past, ground)
            collection_id = new_id()
            lane: Lane = "bulk" if body.segmentation_config else "interactive"
            collection = plan_collection(
                name=body.name,
                report_id=None,
                instance_id=parameters.instance_id,
                lane=lane,
                workflow=ground.workflow,
                parameters=parameters.parameters,
                timezone=parameters.timezone,
                as_of=as_of,
                lookback=parameters.lookback_config,
                segmentation=body.segmentation_config,
                content_key=facts.key,
                skips=left_out,
                sql_checked=facts.past.sql_taken,
            )
            write = created_write(
                collection_id,
                collection,
                team_id=caller.team_id,
                user_id=caller.user_id,
                workflow_id=parameters.workflow_id,
                event_id=event_id,
            )
            counted = await teams.admit(caller, backfill=collection_id if lane == "bulk" else None)
            answer = CollectionCreatedAnswer(
                collection_id=collection_id,
                window_start=collection.window_start,
                window_end=collection.window_end,
                segments_total=len(collection.segments),
                segments_skipped=collection.segments_skipped,
            )
            return Decision((write, *counted), answer, 202)

        return await commands.run(request, CreateCollection, decide_create)

    return Endpoint(
        "POST",
        "/api/data-collections",
        create,
        summary="Set a window to work, without a report",
        body=CreateCollection,
        answer=CollectionCreatedAnswer,
        status=202,
        scope="collections:write",
        refusals=("too_many_backfills", "no_secret_key", "person_erased"),
    )


def _all_but(
    named: Sequence[date], segmentation: SegmentationConfig | None, window: Window, past: Past, ground: Ground
) -> dict[Window, Skip]:
    """The segments that do not begin on one of the named days. Refuses a day on which none begins."""
    windows = [Window(segment.start, segment.end) for segment in plan_segments(window, segmentation)]
    starts = {each.start for each in windows}
    problems = [
        Problem(f"/segments/{index}", f"no segment begins on {day}; the nearest begins on {_nearest(starts, day)}")
        for index, day in enumerate(named)
        if day not in starts
    ]
    if problems:
        raise Refused("invalid", "the collection has no such segments", problems=problems)
    return skips(windows, "all", past, ground.instance.final_after_days, named=frozenset(named))


def _nearest(starts: Iterable[date], day: date) -> date:
    return min(starts, key=lambda start: (abs((start - day).days), start))
