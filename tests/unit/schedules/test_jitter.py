"""The wait before a run: always the same, below its bounds, spread evenly."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.schedules.jitter import due, jitter
from service.schedules.occurrences import occurrences
from tests.unit.schedules.samples import naive, schedule, utc

SCHEDULE = UUID("0198f4c2-7d1e-7b43-9c51-6a0f3f2f6a11")
NOMINAL = naive("2026-03-08T02:30")


@given(
    st.uuids(),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 - local times have no zone
    st.integers(0, 2**31 - 1),
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=40)),
)
def test_jitter_stays_below_what_was_asked_and_before_the_next_run(
    schedule_id: UUID, nominal: datetime, seconds: int, gap: timedelta | None
) -> None:
    wait = jitter(schedule_id, nominal, seconds, gap)
    assert wait == jitter(schedule_id, nominal, seconds, gap)
    assert 0 <= wait < max(seconds, 1)
    assert gap is None or timedelta(seconds=wait) < gap


def test_the_wait_is_the_same_in_every_process_and_release() -> None:
    assert jitter(SCHEDULE, NOMINAL, 3600, None) == 1065


def test_without_jitter_a_run_starts_at_its_instant() -> None:
    assert [jitter(SCHEDULE, NOMINAL, seconds, None) for seconds in (0, 1)] == [0, 0]
    assert jitter(SCHEDULE, NOMINAL, 600, timedelta(0)) == 0


def test_waits_differ_by_schedule_and_by_run_and_use_the_whole_range() -> None:
    waits = [jitter(UUID(int=number), NOMINAL, 600, None) for number in range(2000)]
    waits += [jitter(SCHEDULE, NOMINAL + timedelta(days=number), 600, None) for number in range(2000)]
    assert len(set(waits)) > 590
    assert abs(sum(waits) / len(waits) - 299.5) < 12


def test_starts_keep_the_order_of_their_runs_however_long_the_jitter() -> None:
    spec = schedule("America/New_York", "02:30", jitterSeconds=2**31 - 1)
    runs = list(occurrences(spec, utc("2026-01-01"), utc("2027-01-01")))
    starts = [due(SCHEDULE, run, following, 2**31 - 1) for run, following in pairwise(runs)]
    assert all(run.instant <= start < later.instant for start, (run, later) in zip(starts, pairwise(runs), strict=True))
