"""The exported file: a ZIP archive, whose form docs/audit.md of the service describes.

manifest.json    the form, which positions it holds, and the SHA-256 of what the tree does not prove
events.ndjson    three lines for each event, by position: its leaf, its configuration, its metadata
heads.ndjson     the tree heads, by size, each a signed note as a JSON string
tile/…           the tree's tiles
keys.txt         the public keys that the service says are its own; nothing here trusts them
schemas/…, README.txt
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from report_builder_verify.notes import TreeHead, read_head

FORM = "report-builder-audit/1"
TREE_FILES = {"manifest.json", "events.ndjson", "heads.ndjson"}
OTHER_FILES = re.compile(r"keys\.txt|README\.txt|schemas/[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+/[1-9][0-9]{0,3}\.json")
CHUNK = 1 << 20
AHEAD = 4  # chunks that are unpacked before they are wanted
LONGEST_EVENT = 8 << 20  # bytes; a body has at most one MiB
LONGEST_HEAD = 1 << 20  # bytes
# The forms of an archive's parts that exports have: the standard library reads others, each with errors of its own.
PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# What the standard library raises of an archive that makes no sense.
SENSELESS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)

Run = tuple[list[bytes], list[bytes], list[bytes]]


class NotABundle(Exception):
    """The file is something else."""


class Unfinished(Exception):
    """The file, or a part of it that no verification can do without, is not there to its end."""


class Damaged(Exception):
    """What is in the bundle does not have the form that it must have."""


class Bundle:
    """The bundle's parts. Opening raises NotABundle, Unfinished, Damaged and OSError, reading the latter three."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise NotABundle(f"{path} is not an exported audit log")
        with _making_sense("its table of contents cannot be read"):
            try:
                self._zip = zipfile.ZipFile(path)
            except zipfile.BadZipFile:
                raise Unfinished("the file ends before its table of contents: the export or a copy broke off") from None
        self._names = set(self._zip.namelist())
        self._tiles_read: set[str] = set()
        if len(self._names) != len(self._zip.namelist()):
            raise Damaged("it has two parts of one name")
        self.manifest = self._read_manifest()
        self.first: int = self.manifest["from"]
        self.last: int = self.manifest["to"]
        self.team: str | None = self.manifest["team"]
        self.tree_size: int = self.manifest["tree_size"]

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def events(self) -> Iterator[Run]:
        """Leaves, configurations and metadata of as many events as are read at once, as stored; `null` for a body that
        is not there. While these are looked at, the next ones are unpacked."""
        rest: list[bytes] = [b""]
        with self._open("events.ndjson") as file, ThreadPoolExecutor(1) as reader:
            ahead = deque(reader.submit(_read, file, CHUNK) for _ in range(AHEAD))
            while chunk := ahead.popleft().result():
                ahead.append(reader.submit(_read, file, CHUNK))
                lines = (b"\n".join(rest) + chunk).split(b"\n")
                whole = (len(lines) - 1) // 3 * 3
                yield lines[0:whole:3], lines[1:whole:3], lines[2:whole:3]
                rest = lines[whole:]
                if sum(map(len, rest)) > LONGEST_EVENT:
                    raise Damaged("a line of events.ndjson is longer than an event can be")
        if rest != [b""]:
            raise Damaged("events.ndjson ends in the middle of an event")

    def heads(self) -> Iterator[TreeHead]:
        """The tree heads, the smallest first; of one size that of the earlier epoch."""
        before = -1, 0
        for number, line in self._head_lines():
            head = _head(number, line)
            if (head.size, head.epoch) <= before:
                raise Damaged(f"line {number} of heads.ndjson: a head of {head.size} events after one of {before[0]}")
            before = head.size, head.epoch
            yield head

    def newest_head(self) -> TreeHead | None:
        """The last one; None where there is none at all."""
        last = deque(self._head_lines(), maxlen=1)
        return _head(*last[0]) if last else None

    def tile(self, name: str) -> bytes | None:
        """The tile's bytes; None where the bundle does not have it."""
        if name not in self._names:
            return None
        self._tiles_read.add(name)
        with self._open(name) as file:
            return _read(file, 256 * 32 + 1)

    def stray_files(self) -> list[str]:
        """Files that no bundle has, tiles that were not asked for, and files that the manifest does not name, that are
        not there, or that have another SHA-256 than it says."""
        files = self.manifest["files"]
        others = self._names - TREE_FILES - self._tiles_read
        return [
            name
            for name in sorted({*files, *others})
            if not OTHER_FILES.fullmatch(name) or files.get(name) != self._sha256(name)
        ]

    def _head_lines(self) -> Iterator[tuple[int, bytes]]:
        with self._open("heads.ndjson") as file:
            yield from enumerate(_lines(file, LONGEST_HEAD), 1)

    def _sha256(self, name: str) -> str | None:
        digest = hashlib.sha256()
        try:
            with self._open(name) as file:
                while chunk := _read(file, CHUNK):
                    digest.update(chunk)
        except (Unfinished, Damaged):
            return None
        return digest.hexdigest()

    def _read_manifest(self) -> dict[str, Any]:
        with self._open("manifest.json") as file:
            text = _read(file, CHUNK)
        try:
            manifest = json.loads(text)
            if manifest["form"] != FORM:
                raise NotABundle(f"it has the form {manifest['form']}; this verifier knows {FORM}: take a newer one")
            first, last, size = (manifest[name] for name in ("from", "to", "tree_size"))
            ranged = (
                all(type(number) is int for number in (first, last, size))
                and 1 <= first <= last + 1 <= size + 1 < 1 << 63
            )
            named = all(re.fullmatch("[0-9a-f]{64}", digest) for digest in manifest["files"].values())
            if not ranged or not named or not isinstance(manifest["team"], str | None):
                raise Damaged("manifest.json contradicts itself")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Damaged("manifest.json cannot be read") from None
        return dict(manifest)

    def _open(self, name: str) -> Any:
        if name not in self._names:
            raise Unfinished(f"the bundle has no {name}")
        with _making_sense(f"{name} cannot be read"):
            if self._zip.getinfo(name).compress_type in PACKED:
                return self._zip.open(name)
        raise Damaged(f"{name} is packed in a way that no export is")


@contextlib.contextmanager
def _making_sense(complaint: str) -> Iterator[None]:
    """Raises Damaged for what the standard library raises of an archive that makes no sense."""
    try:
        yield
    except SENSELESS:
        raise Damaged(complaint) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # which is a place before the file's first byte
            raise
        raise Damaged(complaint) from None


def _read(file: Any, size: int) -> bytes:
    with _making_sense(f"{file.name} cannot be read to its end"):
        return bytes(file.read(size))


def _head(number: int, line: bytes) -> TreeHead:
    try:
        return read_head(json.loads(line))
    except (ValueError, AttributeError, RecursionError) as error:
        raise Damaged(f"line {number} of heads.ndjson: {error}") from None


def _lines(file: Any, longest: int) -> Iterator[bytes]:
    rest = b""
    while chunk := _read(file, CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > longest:
            raise Damaged(f"a line of {file.name} is longer than it can be")
    if rest:
        yield rest
