"""The sandbox's own pure parts: windows, pages, faults, rate, signatures."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from service.amc.sandbox.creation import Refused
from service.amc.sandbox.faults import FaultPlan, Faults
from service.amc.sandbox.paging import page_of
from service.amc.sandbox.signing import Signer
from service.amc.sandbox.throttle import TokenBucket
from service.amc.sandbox.windows import read_window


def test_a_window_is_local_midnight_to_midnight_turned_into_instants() -> None:
    window = read_window("2024-01-20T00:00:00", "2024-01-21T00:00:00", "America/New_York")
    assert window.start.isoformat() == "2024-01-20T05:00:00+00:00"
    assert window.dates() == (date(2024, 1, 20), date(2024, 1, 21))


def test_pages_cover_a_list_once_also_when_it_grows_meanwhile() -> None:
    entries = [f"{n:03}" for n in range(7)]
    shown: list[str] = []
    token = ""
    while True:
        page, token = page_of(entries, str, {"limit": "3", "nextToken": token})
        shown += page
        if not token:
            break
        entries = sorted([*entries, f"{900 + len(shown)}"])[:8]
    assert shown[:7] == [f"{n:03}" for n in range(7)]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"nextToken": "?"}])
def test_a_bad_page_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(Refused):
        page_of(["a"], str, query)


def test_faults_by_counter_hit_every_nth_and_by_seed_always_the_same() -> None:
    plan = FaultPlan(Faults(drop_every=3), seed=1)
    assert [plan.drops(True) for _ in range(7)] == [False, False, True, False, False, True, False]
    first, second = (FaultPlan(Faults(error_rate=0.3, fail_rate=0.3), seed=5) for _ in range(2))
    assert [first.breaks() for _ in range(50)] == [second.breaks() for _ in range(50)]
    failed = sum(first.fails("w", f"2025-01-{day:02}", 1) for day in range(1, 29))
    assert 2 <= failed <= 16


def test_the_bucket_fills_with_time() -> None:
    now = 0.0
    bucket = TokenBucket(2, 2, clock=lambda: now)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]


def test_a_signature_opens_its_own_path_until_its_end(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    expires, signature = (pair.split("=")[1] for pair in signer.query("/a", 60).split("&"))
    assert signer.accepts("/a", expires, signature)
    assert Signer(tmp_path).accepts("/a", expires, signature)
    assert not signer.accepts("/b", expires, signature)
    assert not signer.accepts("/a", expires + "0", signature)
    assert not signer.accepts("/a", "", "é")
