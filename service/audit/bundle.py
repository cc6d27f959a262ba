"""Writes an exported audit log: a ZIP archive that the verifier reads. docs/audit.md describes each part of it.

It is written from front to back, to anything that takes bytes; of one log at one tree head it has always the same
bytes. What breaks off lacks the archive's table of contents, and no reader takes it for a bundle.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import IO, Protocol

import msgspec

from events.tree.tiles import tile_path

FORM = "report-builder-audit/1"
WITHHELD = b"null"
"""Stands for a body that is not in the bundle: no body of an event is null."""

# Level 1 has the bundle at three tenths of its size; further levels take twice the time and more for little.
COMPRESSION = 1


class Sink(Protocol):
    """What the archive is written to. It is never asked to go back."""

    def write(self, content: bytes, /) -> int: ...

    def flush(self) -> None: ...


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle holds: the events of `first` to `last`, and the bodies of one team's, or of all (null). `files`
    has the SHA-256, in hex, of those parts that the tree does not prove."""

    form: str = FORM
    origin: str
    tree_size: int
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    team: str | None
    files: dict[str, str]


class BundleWriter:
    """The parts in their order: `add_event` from the first to the last, then the others, then `finish`."""

    def __init__(self, sink: Sink) -> None:
        # Without a way to go back: so that it has the same bytes wherever it is written to.
        self._zip = zipfile.ZipFile(_Forward(sink), "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)  # type: ignore[arg-type]
        self._events: IO[bytes] | None = self._open("events.ndjson")
        self._files: dict[str, str] = {}

    def add_events(self, events: Iterable[Sequence[bytes]]) -> None:
        """The next events: leaf, configuration and metadata of each; WITHHELD where a body is not to be in it."""
        assert self._events is not None, "events come first"
        self._events.write(b"".join([part + b"\n" for event in events for part in event]))

    def add_heads(self, notes: Iterable[str]) -> None:
        """The tree heads with their signatures, the smallest first."""
        self._end_events()
        with self._open("heads.ndjson") as file:
            file.writelines(msgspec.json.encode(note) + b"\n" for note in notes)

    def add_tile(self, level: int, index: int, hashes: bytes) -> None:
        """A tile of the tree, as wide as it is at the tree head."""
        self._end_events()
        with self._open(f"tile/{tile_path(level, index, len(hashes) // 32)}") as file:
            file.write(hashes)

    def add_file(self, name: str, content: bytes) -> None:
        """Anything else; the manifest has its hash."""
        self._end_events()
        with self._open(name) as file:
            file.write(content)
        self._files[name] = sha256(content).hexdigest()

    def finish(self, origin: str, tree_size: int, first: int, last: int, team: str | None) -> None:
        """The manifest, and the table of contents."""
        self._end_events()
        manifest = Manifest(
            origin=origin,
            tree_size=tree_size,
            first=first,
            last=last,
            team=team,
            files=dict(sorted(self._files.items())),
        )
        with self._open("manifest.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        self._zip.close()

    def _open(self, name: str) -> IO[bytes]:
        return self._zip.open(name, "w", force_zip64=True)

    def _end_events(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None


class _Forward:
    """The sink without the rest of what files can do."""

    def __init__(self, sink: Sink) -> None:
        self.write, self.flush = sink.write, sink.flush
