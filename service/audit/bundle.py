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
    tree_size: int
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    team: str | None
    files: dict[str, str]


class BundleWriter:
    """Parts one after the other, each whole before the next; `finish` ends it."""

    def __init__(self, sink: Sink) -> None:
        # Without a way to go back: so that it has the same bytes wherever it is written to.
        self._zip = zipfile.ZipFile(_Forward(sink), "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)  # type: ignore[call-overload]
        self._part: IO[bytes] | None = None
        self._name = ""
        self._files: dict[str, str] = {}

    def add_events(self, events: Iterable[Sequence[bytes]]) -> None:
        """The next events: leaf, configuration and metadata of each; WITHHELD where a body is not to be in it."""
        self._write("events.ndjson", b"".join([line + b"\n" for event in events for line in event]))

    def add_heads(self, notes: Iterable[str]) -> None:
        """The next tree heads with their signatures, the smallest first."""
        self._write("heads.ndjson", b"".join([msgspec.json.encode(note) + b"\n" for note in notes]))

    def add_tile(self, level: int, index: int, width: int, hashes: bytes) -> None:
        """A tile of the tree, that has so many hashes at the tree head."""
        self._write(f"tile/{tile_path(level, index, width)}", hashes)

    def add_file(self, name: str, content: bytes) -> None:
        """Anything else; the manifest has its hash."""
        self._write(name, content)
        self._files[name] = sha256(content).hexdigest()

    def finish(self, tree_size: int, first: int, last: int, team: str | None) -> None:
        """The manifest, and the table of contents."""
        files = dict(sorted(self._files.items()))
        manifest = Manifest(tree_size=tree_size, first=first, last=last, team=team, files=files)
        self._write("manifest.json", msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        self._end_part()
        self._zip.close()

    def _write(self, name: str, content: bytes) -> None:
        if name != self._name:
            self._end_part()
            self._part, self._name = self._zip.open(name, "w", force_zip64=True), name
        assert self._part is not None, "a part is written whole before the next one"
        self._part.write(content)

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.close()
        self._part = None


class _Forward:
    """The sink without the rest of what files can do."""

    def __init__(self, sink: Sink) -> None:
        self.write, self.flush = sink.write, sink.flush
