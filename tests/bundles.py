"""Exported audit logs for tests, made in memory, and what a forger of the file does to them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent
from events.tree.heads import TreeHead, origin_of
from events.tree.leaf import leaf_of
from events.tree.merkle import leaf_hash
from events.tree.notes import Note, SigningKey
from events.tree.tiles import Edge, Tile, tile_path, width_of
from events.types.log import EpochBegun, KeyRotated
from service.audit.bundle import BundleWriter
from service.audit.export import Part, tiles_of_part

NAME = "audit.example/log"
START = datetime(2026, 1, 1, tzinfo=UTC)
STREAMS = 40


def sample_event(position: int, **changed: object) -> RecordedEvent:
    """The event of a position: streams take turns, each position is a second."""
    event = RecordedEvent(
        position=position,
        id=UUID(int=(0x7 << 76) | (0b10 << 62) | position * 0x9E3779B97F4A7C15 % (1 << 62)),
        stream=f"segment-{(position - 1) % STREAMS}",
        stream_version=(position - 1) // STREAMS + 1,
        event_type="segment.dispatched",
        schema_version=1,
        team_id="team-1" if position % 3 else 'team "two"',
        user_id=None if position % 2 else UUID(int=position),
        workflow_id=None,
        step_completed=None,
        configuration=f'{{"attempt":{position}}}',
        metadata='{"correlation_id":"c"}',
        recorded_at=START + timedelta(seconds=position),
    )
    return msgspec.structs.replace(event, **changed)


class SampleLog:
    """A log in memory, with its tree and a head at each of `sizes`, the last of them that of all."""

    def __init__(
        self,
        events: Sequence[RecordedEvent],
        sizes: Sequence[int],
        key: SigningKey,
        *,
        epoch_of: Callable[[int], int] = lambda position: 1,
        extra: Callable[[str], str] = lambda note: note,
    ) -> None:
        self.events, self.key = list(events), key
        self.leaves = [leaf_of(event, epoch_of(event.position)) for event in events]
        self.tiles: dict[Tile, bytes] = {}
        self.heads: list[str] = []
        edge = Edge()
        for size in sizes:
            self.tiles |= edge.add(map(leaf_hash, self.leaves[edge.size : size]))
            origin = origin_of(NAME, epoch_of(size)) if size else NAME
            text = TreeHead(origin, size, edge.root()).text
            self.heads.append(extra(str(Note(text, (key.sign(text),)))))
        self.size = edge.size

    def head_of(self, size: int) -> str:
        """The signed head of so many events."""
        return next(note for note in self.heads if size_of(note) == size)

    def part(self, parts: Parts, first: int, last: int) -> Parts:
        """Of a whole bundle the part with these positions, as it is exported."""
        chosen = Part(self.size, first, last, None)
        tiles = {f"tile/{tile_path(*tile, width_of(tile, self.size))}" for tile in tiles_of_part(chosen)}
        found = Parts({name: parts[name] for name in parts if not name.startswith("tile/") or name in tiles})
        found.events = parts.events[first - 1 : last]
        found.heads = [note for note in parts.heads if first <= size_of(note) <= last or size_of(note) == self.size]
        found.manifest(**{"from": first, "to": last})
        return found

    def bundle_lines(self, index: int) -> list[bytes]:
        """Leaf, configuration and metadata of an event, counted from 0."""
        event = self.events[index]
        return [self.leaves[index], event.configuration.encode(), event.metadata.encode()]

    def bundle(self, path: Path) -> Path:
        """The whole log, exported."""
        with path.open("wb") as file:
            writer = BundleWriter(file)
            writer.add_events(map(self.bundle_lines, range(len(self.events))))
            writer.add_heads(self.heads)
            for (level, index), hashes in sorted(self.tiles.items()):
                writer.add_tile(level, index, len(hashes) // 32, hashes)
            writer.add_file("keys.txt", f"{self.key.verifier.text}\n".encode())
            writer.add_file("README.txt", b"Read me.\n")
            writer.finish(self.size, 1, self.size, None)
        return path


class Parts(dict[str, bytes]):
    """The files of a bundle, to be altered."""

    @classmethod
    def of(cls, path: Path) -> Parts:
        with zipfile.ZipFile(path) as file:
            return cls((name, file.read(name)) for name in file.namelist())

    def write(self, path: Path) -> Path:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in self.items():
                file.writestr(name, content)
        path.write_bytes(buffer.getvalue())
        return path

    @property
    def events(self) -> list[list[bytes]]:
        """Leaf, configuration and metadata of each event."""
        lines = self["events.ndjson"].split(b"\n")[:-1]
        return [lines[at : at + 3] for at in range(0, len(lines), 3)]

    @events.setter
    def events(self, events: Sequence[Sequence[bytes]]) -> None:
        self["events.ndjson"] = b"".join(line + b"\n" for event in events for line in event)

    @property
    def heads(self) -> list[str]:
        return [msgspec.json.decode(line) for line in self["heads.ndjson"].splitlines()]

    @heads.setter
    def heads(self, notes: Sequence[str]) -> None:
        self["heads.ndjson"] = b"".join(msgspec.json.encode(note) + b"\n" for note in notes)

    def manifest(self, **changed: object) -> None:
        """Changes what the manifest says."""
        self["manifest.json"] = msgspec.json.encode(msgspec.json.decode(self["manifest.json"]) | changed)


def lone_events(first: int, last: int, **changed: object) -> Iterator[RecordedEvent]:
    """The events of these positions, each of a stream of its own: any of them may be another one."""
    for position in range(first, last + 1):
        yield sample_event(position, stream=f"segment-at-{position}", stream_version=1, **changed)


def key_rotated(
    position: int, version: int, key: SigningKey, previous: SigningKey, *, lost: bool = False, stream: str = "log-keys"
) -> RecordedEvent:
    body = KeyRotated(key.verifier.text, previous.verifier.text, lost)
    return _about_log(position, stream, version, "log.key_rotated", body)


def epoch_begun(position: int, version: int, body: EpochBegun, *, stream: str = "log-epochs") -> RecordedEvent:
    return _about_log(position, stream, version, "log.epoch_begun", body)


def _about_log(position: int, stream: str, version: int, event_type: str, body: object) -> RecordedEvent:
    configuration = msgspec.json.encode(body).decode()
    return sample_event(
        position, stream=stream, stream_version=version, event_type=event_type, configuration=configuration
    )


def signed(note: str, *keys: SigningKey) -> str:
    """The note's text, signed by these keys alone."""
    text = note.partition("\n\n")[0] + "\n"
    return str(Note(text, tuple(key.sign(text) for key in keys)))


def sample_events(count: int) -> Iterator[RecordedEvent]:
    return map(sample_event, range(1, count + 1))


def size_of(note: str) -> int:
    return int(note.split("\n")[1])
