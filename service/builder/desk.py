"""Where a configuration becomes a report and is set to work: what the step-by-step and the one-call routes share.

A step takes the report as its events made it and gives the next event. Step by step each is appended at the
version that was read; in one call the events of a new report are recorded together.
"""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from starlette.requests import Request

from db.pool import Pool
from events.append import Write
from events.configurations import ParameterValues
from events.envelope import Metadata, NewEvent, Step, new_id, stream_of
from events.types.report import ParametersSet, Submitted
from service.auth.caller import Caller
from service.builder import decide
from service.builder.answers import ReportAnswer, ReviewContent, SubmittedAnswer, shown
from service.builder.ground import gather_facts, load_report, refuse_lost_days
from service.builder.models import Ground, Report
from service.builder.preview import (
    Facts,
    Preview,
    collected_window,
    is_bulk,
    preview,
    recurs,
    runs_once,
    skipped,
)
from service.clock import Clock
from service.commands import Decision
from service.data_collections.writes import created_write
from service.footing import Footing, Memory, footing_of
from service.persons.texts import PersonalTexts
from service.schedules.plan import fingerprint_of
from service.schedules.writes import created_writes
from service.teams.limits import Teams
from service.workflows.filled import fill

StepAnswer = TypeVar("StepAnswer", bound=ReportAnswer)


class Draft(msgspec.Struct):
    """A report to which steps are added: its events so far, and what it then is. `values` are its parameters' values,
    opened, where somebody is to read them. `footing` hears what the report becomes."""

    report_id: UUID
    caller: Caller
    state: Report
    footing: Footing
    events: list[NewEvent] = msgspec.field(default_factory=list)
    began_at: int = 0
    values: ParameterValues = msgspec.field(default_factory=dict)

    def add(self, data: msgspec.Struct, step: Step | None = None, *, event_id: UUID | None = None) -> None:
        """The next event of the report's stream; `event_id` is for which values in it were sealed."""
        parameters = self.state.parameters or data
        self.events.append(
            NewEvent(
                data=data,
                team_id=self.caller.team_id,
                user_id=self.caller.user_id,
                workflow_id=getattr(parameters, "workflow_id", None),
                step_completed=step,
                metadata=Metadata(correlation_id=str(self.report_id)),
                id=event_id or new_id(),
            )
        )
        self.state = self.state.evolve(self.state.version + 1, data)

    def write(self) -> Write:
        """What is to be appended: the new events, at the version that was read."""
        stream = stream_of("report", self.report_id)
        self.footing.becomes(stream, self.state.version, self.state)
        return Write(stream, self.began_at or "none", tuple(self.events))

    def answer(self, kind: type[StepAnswer] = ReportAnswer, **more: Any) -> StepAnswer:  # type: ignore[assignment]
        return kind(**shown(self.report_id, self.state), **more)


class Desk:
    """The builder's shared acts, over the log behind `pool` and what `memory` knows of it; `clock` has their today."""

    def __init__(self, pool: Pool, memory: Memory, teams: Teams, clock: Clock, texts: PersonalTexts) -> None:
        self.pool = pool
        self._memory = memory
        self.clock = clock
        self.texts = texts
        self._teams = teams

    async def open(self, request: Request, caller: Caller) -> Draft:
        """The report that the path names, for its next step; refused where it was submitted."""
        footing = footing_of(request)
        report_id, state = await load_report(footing, request, caller)
        decide.refuse_submitted(state)
        return Draft(report_id, caller, state, footing, began_at=state.version)

    def begin(self, caller: Caller, footing: Footing) -> Draft:
        """A report that is not there yet."""
        return Draft(new_id(), caller, Report(team_id=caller.team_id), footing)

    def as_it_stands(self) -> Footing:
        """What to stand on where nothing is recorded: the log as it is now."""
        return Footing(self.pool, self._memory, afresh=True)

    async def add_parameters(self, draft: Draft, data: ParametersSet, ground: Ground) -> ParametersSet:
        """Step 1, with what is personal in it sealed; answers it so. The draft has its values to read."""
        event_id = new_id()
        author = draft.caller.user_id
        values = await self.texts.seal_values(ground.workflow.parameters, data.parameters, author, event_id)
        sealed = msgspec.structs.replace(data, parameters=values)
        draft.values = data.parameters
        draft.add(sealed, "parameters", event_id=event_id)
        return sealed

    async def open_values(self, draft: Draft) -> None:
        """Gives the draft its values to read. Raises ErasedValues."""
        assert draft.state.parameters is not None
        draft.values = await self.texts.open_values(draft.state.parameters.parameters)

    async def facts(self, draft: Draft, ground: Ground, as_of: date) -> Facts:
        """What is known about the draft's configuration."""
        parameters, step = decide.configured(draft.state)
        return await gather_facts(self.pool, draft.caller, parameters, step, ground, as_of)

    def preview(self, draft: Draft, ground: Ground, facts: Facts, as_of: date) -> Preview:
        """What the draft's configuration will do."""
        parameters, step = decide.configured(draft.state)
        return preview(parameters, step, ground, facts, as_of, self.clock.now())

    def review(self, draft: Draft, ground: Ground, facts: Facts, as_of: date) -> ReviewContent:
        """Step 3: what a person must see, with the digest that submits it."""
        parameters, step = decide.configured(draft.state)
        return ReviewContent(
            digest=decide.digest_of(parameters, step, ground, as_of),
            sql_query=ground.workflow.sql_query,
            filled=fill(ground.workflow.sql_query, ground.workflow.parameters, draft.values),
            preview=self.preview(draft, ground, facts, as_of),
        )

    def refuse_lost_days(self, draft: Draft, ground: Ground, as_of: date) -> None:
        """Raises Refused where what would be collected holds days that AMC has no more."""
        parameters, step = decide.configured(draft.state)
        refuse_lost_days(collected_window(parameters, step, as_of), parameters.timezone, self.clock, ground)

    async def set_to_work(self, draft: Draft, ground: Ground, facts: Facts, digest: str) -> Decision:
        """Step 4: the report's last event, and with it the collection, the schedule and their count in the team."""
        decide.refuse_unreviewed(draft.state, ground, digest)
        parameters, step = decide.configured(draft.state)
        assert draft.state.review is not None
        self.refuse_lost_days(draft, ground, draft.state.review.as_of)
        caller, writes = draft.caller, []
        collection_id = new_id() if runs_once(step) else None
        schedule_id = new_id() if recurs(step) else None
        collection = schedule = None
        if collection_id:
            collection = decide.collection_of(
                draft.state,
                ground,
                report_id=draft.report_id,
                key=facts.key,
                skips=skipped(
                    step,
                    collected_window(parameters, step, draft.state.review.as_of),
                    facts.past,
                    ground.instance.final_after_days,
                ),
                sql_checked=facts.past.sql_taken or draft.state.amc_takes(facts.key),
                schedule_id=schedule_id,
            )
            writes.append(
                created_write(
                    collection_id,
                    collection,
                    team_id=caller.team_id,
                    user_id=caller.user_id,
                    workflow_id=parameters.workflow_id,
                    causation=draft.report_id,
                )
            )
        if schedule_id:
            schedule = decide.schedule_of(
                draft.state,
                ground,
                report_id=draft.report_id,
                schedule_id=schedule_id,
                collection_id=collection_id,
                now=self.clock.now(),
            )
            writes += created_writes(
                schedule_id,
                schedule,
                team_id=caller.team_id,
                user_id=caller.user_id,
                workflow_id=parameters.workflow_id,
            )
        writes += await self._teams.admit(
            caller,
            backfill=collection_id if is_bulk(step) else None,
            schedule=schedule_id,
            fingerprint=fingerprint_of(schedule) if schedule else "",
        )
        draft.add(Submitted(digest, collection_id, schedule_id), "submit")
        answer = draft.answer(
            SubmittedAnswer,
            segments_total=len(collection.segments) if collection else None,
            segments_skipped=collection.segments_skipped if collection else None,
            next_run_at=schedule.next_due if schedule else None,
        )
        return Decision((draft.write(), *writes), answer, 202)
