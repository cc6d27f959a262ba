"""Processor time of processes and all that they have started, which others on the machine do not lengthen."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(roots: Iterable[int]) -> float:
    """Seconds on a processor of these processes and their descendants, those that have ended included as far as
    their parents have waited for them."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        pid = int(entry.name)
        children[int(fields[1])].append(pid)
        used[pid] = sum(map(int, fields[11:15])) / _TICKS  # its own, and of children that it has waited for
    total, left = 0.0, list(roots)
    while left:
        pid = left.pop()
        total += used.get(pid, 0.0)
        left += children[pid]
    return total
