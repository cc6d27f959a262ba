"""What a process remembers of streams: never more than it may, and never something older in the place of the newer."""

from __future__ import annotations

from service.builder.models import REPORTS, Report
from service.footing import OVERHEAD, Known, Memory


def known(version: int, size: int = OVERHEAD) -> Known:
    return Known(version, Report(version=version), size)


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory = Memory([REPORTS], most_bytes=2 * OVERHEAD)
    memory.keep("report-a", known(1))
    memory.keep("report-b", known(1))
    assert memory.find("report-a")
    memory.keep("report-c", known(1))
    assert [bool(memory.find(f"report-{name}")) for name in "abc"] == [True, False, True]


def test_one_that_grows_counts_for_more_and_one_too_large_is_not_kept() -> None:
    memory = Memory([REPORTS], most_bytes=3 * OVERHEAD)
    memory.keep("report-a", known(1))
    memory.keep("report-b", known(1))
    memory.keep("report-b", known(2, 2 * OVERHEAD))
    assert memory.find("report-a")
    memory.keep("report-b", known(3, 3 * OVERHEAD))
    assert not memory.find("report-a")
    memory.keep("report-b", known(4, 4 * OVERHEAD))
    assert not memory.find("report-b")
    memory.keep("report-c", known(1, 3 * OVERHEAD))
    assert memory.find("report-c")


def test_what_is_older_does_not_replace_what_is_newer_unless_that_was_forgotten() -> None:
    memory = Memory([REPORTS])
    memory.keep("report-a", known(3))
    memory.keep("report-a", known(2))
    assert memory.find("report-a") == known(3)
    memory.forget(["report-a", "report-b"])
    memory.keep("report-a", known(2))
    assert memory.find("report-a") == known(2)
