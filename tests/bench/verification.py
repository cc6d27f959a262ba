"""How fast an exported log is verified offline, as an auditor does: by the command, in a process of its own.

Beside it the least that it can take: hashing what cannot but be hashed, with the same library, in a loop that does
nothing else. For each event that is its leaf behind a zero byte, its configuration and its metadata; for the tree, each
of its nodes once. The messages are made before the clock runs. That it is the same work shows in the end: the bodies
have the hashes that their leaves name, and the tree has the root that was signed. What the command does besides is to
unpack, and to look at what it hashes.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import asyncpg
import msgspec

from events.tree.notes import SigningKey
from report_builder_verify.bundle import Bundle
from tests.bench.lines import alone, beside
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.profiles import Profiler
from tests.bench.rounds import in_turns, say
from tests.forger import NAME, Stage, exported

EVENTS, QUICK_EVENTS = 150_000, 50_000
EVENTS_PER_HEAD = 1000
AT_ONCE = 1000
"""Nodes that are made before they are hashed: few enough to be near the processor still."""

OURS, HASHING = "report-builder-verify", "SHA-256 of the same bytes"

# The process itself says what it has held at most, as what its parent is told has the parent's own pages in it; and how
# long it was at it, as its start is the same for a log of any length.
COMMAND = """
import re, sys, time
from pathlib import Path
from report_builder_verify.__main__ import main
begun = time.perf_counter()
code = main()
seconds = time.perf_counter() - begun
print(seconds, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""

ALTER_A_BYTE = """
UPDATE report_builder_audit SET configuration = regexp_replace(configuration::text, 'x"', 'y"')::json
 WHERE position = $1
"""


class Round(msgspec.Struct, frozen=True):
    """Events per second; what the process has held at most, in MiB, and how long it took to start, in milliseconds."""

    rate: float
    memory: float = 0
    start: float = 0

    def __str__(self) -> str:
        return f"{self.rate:,.0f} events/s"


async def run(place: Place) -> Outcome:
    events = QUICK_EVENTS if place.quick else EVENTS
    whole, altered = place.folder / "whole.zip", place.folder / "altered.zip"
    stage, exports = await _export(place, events, whole, altered)
    # The export makes the leaf anew: the body is the one that it names, and the tile's hash says that it was another.
    _verify(altered, stage, place.profiler, 1, {"outcome": "tampered", "first": stage.middle, "last": stage.middle})
    sound = {"outcome": "sound", "checked_from": 1, "checked_to": events, "heads_checked": stage.heads}

    async def verify() -> Round:
        return await asyncio.to_thread(_verify, whole, stage, place.profiler, 0, sound)

    async def hash_alone() -> Round:
        return await asyncio.to_thread(_hash_alone, whole, events)

    found = await in_turns("verification", {OURS: verify, HASHING: hash_alone}, place.rounds)
    ours, theirs = ([each.rate for each in found[name]] for name in (OURS, HASHING))
    memory, starts = [each.memory for each in found[OURS]], [each.start for each in found[OURS]]
    return Outcome([
        beside("verification", "events", "/s", ours, HASHING, theirs, better="more", target=0.3),
        alone("verification", "peak memory", "MiB", memory, better="less"),
        alone("verification", "start of the command", "ms", starts, better="less"),
        alone("verification", "events exported", "/s", exports, better="more"),
    ])  # fmt: skip


async def _export(place: Place, events: int, whole: Path, altered: Path) -> tuple[Stage, list[float]]:
    """Exports a log as it was recorded, and with one byte of it altered; how many events a second it took."""
    async with place.server.fresh_database() as database:
        stage = Stage(database, events, events // EVENTS_PER_HEAD, SigningKey.generate(NAME))
        await stage.build()
        owner = await asyncpg.connect(database.admin_url)
        try:
            await owner.execute("SET session_replication_role = replica")
            rates = []
            for file in (whole, altered):
                begun = time.perf_counter()
                await exported(owner, file)
                rates.append(events / (time.perf_counter() - begun))
                say(f"verification  exported at {rates[-1]:,.0f} events/s")
                await owner.execute(ALTER_A_BYTE, stage.middle)
        finally:
            await owner.close()
    return stage, rates


def _verify(file: Path, stage: Stage, profiler: Profiler, code: int, expected: dict[str, object]) -> Round:
    """In a process of its own. Raises WrongRows where it says anything else."""
    command = [sys.executable, "-c", COMMAND, str(file), "--key", stage.key.verifier.text, "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with profiler.processes("verification", process.pid):
        output, told = process.communicate()
    whole = time.perf_counter() - begun
    if process.returncode not in (0, 1):
        raise WrongRows(f"the verifier ended with exit code {process.returncode}: {told}")
    seconds, memory = map(float, told.split())
    findings = msgspec.json.decode(output, type=dict[str, object])
    said = {name: findings[name] for name in expected}
    if (process.returncode, said) != (code, expected):
        raise WrongRows(f"the verifier says of {file.name}, with exit code {process.returncode}: {findings}")
    return Round(stage.events / seconds, memory / 1024, (whole - seconds) * 1000)


def _hash_alone(file: Path, events: int) -> Round:
    """Raises WrongRows where what it has hashed is not what verification hashes."""
    clock, leaves = _Clock(), list[bytes]()
    with Bundle(file) as bundle:
        for read in bundle.events():
            leaves += clock.hash([b"\0" + leaf for leaf in read[0]])
            bodies = clock.hash([body for event in zip(*read[1:], strict=True) for body in event])
            if bodies != [digest for leaf in read[0] for digest in _named(leaf)]:
                raise WrongRows("a body does not have the hash that its leaf names")
        head = bundle.newest_head()
    if head is None or len(leaves) != events or _root(clock, leaves) != head.root:
        raise WrongRows("the tree of what was hashed does not have the root that was signed")
    return Round(events / clock.seconds)


def _named(leaf: bytes) -> tuple[bytes, bytes]:
    read = msgspec.json.decode(leaf)
    return bytes.fromhex(read["configuration_sha256"]), bytes.fromhex(read["metadata_sha256"])


def _root(clock: _Clock, level: list[bytes]) -> bytes:
    """Level by level: of an odd number the last one goes up as it is."""
    while len(level) > 1:
        above = list[bytes]()
        for at in range(0, len(level) - 1, 2 * AT_ONCE):
            row = iter(level[at : at + 2 * AT_ONCE])
            above += clock.hash([b"\1" + left + right for left, right in zip(row, row, strict=False)])
        level = above + level[len(level) // 2 * 2 :]
    return level[0]


class _Clock:
    """Counts the seconds that hashing takes, and nothing else."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def hash(self, messages: Sequence[bytes]) -> list[bytes]:
        begun = time.perf_counter()
        digests = [sha256(message).digest() for message in messages]
        self.seconds += time.perf_counter() - begun
        return digests
