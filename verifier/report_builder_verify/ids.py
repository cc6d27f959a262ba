"""Whether two events have one id: in 16 bytes for each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress

PARTS = 4


class Ids:
    """The ids of events, in their order."""

    def __init__(self) -> None:
        self._ids = bytearray()

    def add(self, ids: Iterable[bytes]) -> None:
        """Of the next events: UUIDs, in lower case."""
        self._ids += bytes.fromhex(b"".join(ids).replace(b"-", b"").decode())

    def first_twice(self) -> tuple[int, int] | None:
        """The first event whose id was there before, and the one in front of it that has it: counted from 0.

        Ids are looked at in so many PARTS, by their last bits: a set of all would take several times as much. Within a
        part only those can be the same whose second halves are.
        """
        halves = memoryview(self._ids).cast("Q")[1::2]
        found = []
        for part in range(PARTS):
            is_in_part = self._ids[15::16].translate(bytes(byte % PARTS == part for byte in range(256)))
            if len(set(compress(halves, is_in_part))) < sum(is_in_part):
                found += self._first_twice_of(compress(range(len(halves)), is_in_part))
        return min(found, default=None)

    def _first_twice_of(self, events: Iterable[int]) -> list[tuple[int, int]]:
        seen: dict[bytes, int] = {}
        for event in events:
            other = seen.setdefault(bytes(self._ids[16 * event : 16 * event + 16]), event)
            if other != event:
                return [(event, other)]
        return []
