"""What each step of a report records, and what it refuses; no clock, no database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from events.configurations import OnceStep, ParametersStep, ScheduleStep
from events.types.instance import InstanceAdded
from events.types.report import ReportCreated, Submitted
from events.types.workflow import DeclaredParameter, WorkflowCreated
from events.validation import decode
from service.builder import decide
from service.builder.models import Ground, Report
from service.builder.preview import Facts, preview
from service.problems import Refused
from service.schedules.plan import fingerprint_of

AS_OF = date(2025, 3, 10)
NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
NOTHING = Facts()
REPORT, COLLECTION, SCHEDULE = UUID(int=1), UUID(int=2), UUID(int=3)
WEEK = {"type": "relative", "value": 7, "unit": "days"}
GROUND = Ground(
    WorkflowCreated("Clicks", "SELECT 1", (DeclaredParameter("brand", default="B0"),)),
    InstanceAdded("Main", "ENTITY1", "ATVPDKIKX0DER", "America/New_York", max_concurrent=4),
)


def parameters(**changes: Any) -> ParametersStep:
    return decode(ParametersStep, {"instance_id": "i", "workflow_id": "w", "lookback_config": WEEK, **changes})


def schedule(**step: Any) -> ScheduleStep:
    read: ScheduleStep = decode(ScheduleStep, step)
    return read


BACKFILL = schedule(
    schedule_type="backfill", backfill_config={"segmentation_config": {"type": "weekly", "parallel_limit": 4}}
)


class Story:
    """A report that takes one step after another."""

    def __init__(self) -> None:
        self.state = Report().evolve(1, ReportCreated("Clicks"))

    def _after(self, data: Any) -> Any:
        self.state = self.state.evolve(self.state.version + 1, data)
        return data

    def parameters(self, step: ParametersStep | None = None, ground: Ground = GROUND) -> Any:
        decide.refuse_submitted(self.state)
        return self._after(decide.set_parameters(ground, step or parameters(), AS_OF))

    def schedule(self, step: ScheduleStep | None = None, ground: Ground = GROUND) -> Any:
        decide.refuse_submitted(self.state)
        assert self.state.parameters
        return self._after(decide.set_schedule(self.state.parameters, ground, step or OnceStep(), AS_OF, NOW))

    def review(self, as_of: date = AS_OF, facts: Facts = NOTHING) -> Any:
        decide.refuse_submitted(self.state)
        step_of = decide.configured(self.state)
        decide.refuse_unfit(step_of[0], step_of[0].parameters, GROUND, step_of[1], as_of, NOW)
        self.preview = preview(*step_of, GROUND, facts, as_of, NOW)
        return self._after(decide.reviewed(decide.digest_of(*step_of, GROUND, as_of), self.preview))

    def submit(self, digest: str = "", ground: Ground = GROUND) -> Any:
        decide.refuse_submitted(self.state)
        digest = digest or (self.state.review.digest if self.state.review else "0" * 64)
        decide.refuse_unreviewed(self.state, ground, digest)
        collection = decide.collection_of(
            self.state, ground, report_id=REPORT, key="k", skips={}, sql_checked=False, schedule_id=SCHEDULE
        )
        self._after(Submitted(digest, COLLECTION if collection else None, SCHEDULE))
        return collection


def refused(call: Any, *arguments: Any) -> Refused:
    with pytest.raises(Refused) as error:
        call(*arguments)
    return error.value


def test_four_steps_lead_to_a_collection_of_the_reviewed_day() -> None:
    story = Story()
    steps = [story.state.next_step]
    story.parameters()
    steps.append(story.state.next_step)
    story.schedule()
    steps.append(story.state.next_step)
    reviewed = story.review()
    steps.append(story.state.next_step)
    assert steps == ["parameters", "schedule", "review", "submit"]
    assert (reviewed.as_of, reviewed.window_start, reviewed.window_end) == (
        AS_OF,
        date(2025, 3, 3),
        date(2025, 3, 9),
    )
    collection = story.submit()
    assert story.state.next_step is None
    assert (collection.lane, collection.as_of, collection.timezone) == ("interactive", AS_OF, "America/New_York")
    assert [(segment.start, segment.end) for segment in collection.segments] == [(date(2025, 3, 3), date(2025, 3, 9))]
    assert (collection.report_id, collection.sql_query) == (REPORT, "SELECT 1")


def test_a_backfill_is_cut_and_goes_the_slow_lane() -> None:
    story = Story()
    story.parameters()
    story.schedule(BACKFILL)
    assert story.review().segments == 52
    collection = story.submit()
    assert collection.lane == "bulk"
    assert [segment.number for segment in collection.segments] == list(range(1, 53))
    assert (collection.window_start, collection.window_end) == (date(2024, 3, 11), date(2025, 3, 9))
    assert len({segment.segment_id for segment in collection.segments}) == 52


def test_a_zone_of_the_report_stands_over_the_instances() -> None:
    assert Story().parameters(parameters(timezone="Asia/Tokyo")).timezone == "Asia/Tokyo"


def test_what_changed_after_the_review_is_named_until_it_is_reviewed_again() -> None:
    story = Story()
    story.parameters()
    story.schedule()
    story.review()
    story.schedule()
    story.parameters()
    assert story.state.next_step == "review"
    refusal = refused(story.submit)
    assert (refusal.code, refusal.extra["changed"]) == ("not_reviewed", ["parameters", "schedule"])
    story.review()
    story.submit()


def test_another_reviews_digest_is_refused() -> None:
    story = Story()
    story.parameters()
    story.schedule()
    story.review()
    assert refused(story.submit, "f" * 64).extra["changed"] == ["the digest names another review"]


@pytest.mark.parametrize(
    "ground",
    [
        msgspec.structs.replace(GROUND, workflow=WorkflowCreated("Clicks", "SELECT 2")),
        msgspec.structs.replace(GROUND, instance=msgspec.structs.replace(GROUND.instance, time_zone="UTC")),
    ],
)
def test_a_workflow_or_instance_that_is_no_longer_what_was_reviewed_is_refused(ground: Ground) -> None:
    story = Story()
    story.parameters()
    story.schedule()
    story.review()
    assert refused(story.submit, "", ground).extra["changed"] == ["workflow or instance"]


def test_the_digest_is_of_everything_that_decides_what_runs() -> None:
    def digest(step: ParametersStep, chosen: ScheduleStep, as_of: date = AS_OF) -> str:
        story = Story()
        story.parameters(step)
        story.schedule(chosen)
        reviewed: str = story.review(as_of).digest
        return reviewed

    digests = [
        digest(parameters(), OnceStep()),
        digest(parameters(parameters={"brand": "B1"}), OnceStep()),
        digest(parameters(timezone="UTC"), OnceStep()),
        digest(parameters(lookback_config={**WEEK, "value": 8}), OnceStep()),
        digest(parameters(), BACKFILL),
        digest(parameters(), OnceStep(), date(2025, 3, 11)),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(parameters(), OnceStep()) == digests[0]


@pytest.mark.parametrize("missing", [[], ["parameters"]])
def test_an_earlier_step_must_have_been_taken(missing: list[str]) -> None:
    story = Story()
    if missing:
        story.parameters()
    for call in (story.review, story.submit):
        refusal = refused(call)
        assert refusal.code == "step_missing"
        assert refusal.extra["missing"] == (["schedule"] if missing else ["parameters", "schedule"])


def test_submit_needs_a_review() -> None:
    story = Story()
    story.parameters()
    story.schedule()
    assert refused(story.submit).code == "not_reviewed"


def test_nothing_follows_submit() -> None:
    story = Story()
    story.parameters()
    story.schedule()
    story.review()
    story.submit()
    for call in (story.parameters, story.schedule, story.review, story.submit):
        refusal = refused(call)
        assert refusal.code == "already_submitted"
        assert refusal.extra == {"collection_id": str(COLLECTION), "schedule_id": str(SCHEDULE)}


def test_parameters_problems_come_together() -> None:
    ground = msgspec.structs.replace(GROUND, workflow=WorkflowCreated("C", "S", (DeclaredParameter("a/b"),)))
    step = parameters(parameters={"x~y": 1}, lookback_config={**WEEK, "value": 426})
    refusal = refused(Story().parameters, step, ground)
    assert refusal.code == "invalid"
    assert [problem.pointer for problem in refusal.problems] == [
        "/parameters/x~0y", "/parameters/a~1b", "/lookback_config"
    ]  # fmt: skip
    assert "2024-01-10" in refusal.problems[2].message
    assert "it has a/b" in refusal.problems[0].message


def test_no_more_runs_at_once_than_the_instance_takes() -> None:
    story = Story()
    story.parameters()
    for step, pointer in (
        ({"schedule_type": "once", "segmentation_config": {"type": "daily", "parallel_limit": 5}}, ""),
        (
            {
                "schedule_type": "backfill",
                "backfill_config": {"segmentation_config": {"type": "daily", "parallel_limit": 5}},
            },
            "/backfill_config",
        ),
    ):
        refusal = refused(story.schedule, schedule(**step))
        assert [problem.pointer for problem in refusal.problems] == [f"{pointer}/segmentation_config/parallel_limit"]


def test_a_schedule_goes_on_from_now_and_names_its_history() -> None:
    story = Story()
    story.parameters()
    recurring = {"schedule_config": {"frequency": "weekly", "time": "09:00", "daysOfWeek": [1]}}
    story.schedule(
        schedule(
            schedule_type="backfill_with_schedule",
            backfill_config={"segmentation_config": {"type": "monthly", "parallel_limit": 4}, "hold_schedule": True},
            **recurring,
        )
    )
    story.review()
    assert [run.window_end for run in story.preview.next_runs[:2]] == [date(2025, 3, 9), date(2025, 3, 16)]
    collection = story.submit()
    assert (collection.lane, collection.backfill_of_schedule, len(collection.segments)) == ("bulk", SCHEDULE, 12)
    made = decide.schedule_of(
        story.state, GROUND, report_id=REPORT, schedule_id=SCHEDULE, collection_id=COLLECTION, now=NOW
    )
    assert (made.backfill_collection_id, made.hold, made.next_due) == (COLLECTION, True, None)


def test_schedules_that_do_the_same_have_one_fingerprint() -> None:
    def fingerprint(name: str, **config: Any) -> str:
        story = Story()
        story.state = story.state.evolve(1, ReportCreated(name))
        story.parameters()
        story.schedule(schedule(schedule_type="scheduled", schedule_config={"time": "09:00", **config}))
        made = decide.schedule_of(
            story.state, GROUND, report_id=REPORT, schedule_id=SCHEDULE, collection_id=None, now=NOW
        )
        return fingerprint_of(made)

    daily = fingerprint("One", frequency="daily")
    assert daily == fingerprint("Other", frequency="daily")
    assert daily != fingerprint("One", frequency="daily", jitterSeconds=5)
    assert fingerprint("One", frequency="weekly", daysOfWeek=[7, 1]) == fingerprint(
        "One", frequency="weekly", daysOfWeek=[0, 1, 1]
    )


def test_a_schedule_is_held_against_its_worst_run() -> None:
    story = Story()
    fourteen = {"type": "relative", "value": 14, "unit": "months"}
    story.parameters(parameters(lookback_config=fourteen))
    refusal = refused(
        story.schedule, schedule(schedule_type="scheduled", schedule_config={"frequency": "daily", "time": "09:00"})
    )
    assert [problem.pointer for problem in refusal.problems] == ["/schedule_config"]


def test_all_problems_of_both_steps_come_together() -> None:
    step = schedule(
        schedule_type="backfill",
        backfill_config={
            "segmentation_config": {"type": "daily", "parallel_limit": 99},
            "lookback_config": {**WEEK, "value": 500},
        },
    )
    refusal = refused(decide.set_both, GROUND, parameters(lookback_config={**WEEK, "value": 426}), step, AS_OF, NOW)
    assert [problem.pointer for problem in refusal.problems] == [
        "/parameters/lookback_config",
        "/schedule/backfill_config/lookback_config",
        "/schedule/backfill_config/segmentation_config/parallel_limit",
    ]


def test_review_warns_and_does_not_block() -> None:
    story = Story()
    story.parameters(parameters(lookback_config={"type": "custom", "startDate": "2024-01-10", "endDate": "2025-03-10"}))
    story.schedule()
    assert story.review().warnings == ("data_may_be_incomplete", "incomplete_day", "beyond_amazon_retention")
    story.submit()


def test_review_looks_at_the_window_again() -> None:
    story = Story()
    story.parameters(parameters(lookback_config={"type": "custom", "startDate": "2024-01-10", "endDate": "2024-02-10"}))
    story.schedule()
    assert refused(story.review, date(2025, 3, 11)).code == "invalid"
