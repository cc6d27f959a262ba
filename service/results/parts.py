"""One CSV file of a result before it is converted: its header is checked, and how it may be read is found out.

DuckDB takes a backslash for an escape inside quotes only, and then not two quotes for one. A file that has it
otherwise is written again without escapes; most need no second file.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

CHUNK = 256 * 1024
MAX_ROW = 2_000_000
"""Bytes of the longest row that is read: a quote that is never closed must not bring a whole file into memory."""
ROWS = 200

# Backslashes are inside quotes, before a quote or a backslash, and no quote is doubled. Nothing is tried twice.
_ESCAPED = re.compile(rb"""(?:[^"\\]++|"(?:[^"\\]++|\\["\\])*+"(?!"))*+""")


class BadResult(Exception):
    """The files are not the CSV that AMC announced; the message quotes what does not fit."""


class Part(msgspec.Struct, frozen=True):
    """A file as DuckDB is to read it. `row_bytes`: of one row, about."""

    file: Path
    escape: str
    row_bytes: int


def read_part(file: Path, names: Sequence[str], copy: Path, go_on: Callable[[], None]) -> Part:
    """The file, checked to have the columns `names` as its header; where DuckDB cannot read it as it is, the same rows
    without escapes at `copy`. `go_on` is called between pieces, and may raise. Raises BadResult."""
    with file.open("rb") as content:
        begin = content.read(MAX_ROW)
    _check_header(file, begin, names)
    row_bytes = len(begin) // max(1, begin.count(b"\n"))
    if b"\\" not in begin and (len(begin) < MAX_ROW or not _has_backslash(file)):
        return Part(file, '"', row_bytes)
    if _is_escaped_inside_quotes(file, go_on):
        return Part(file, "\\", row_bytes)
    _write_plain(file, copy, go_on)
    return Part(copy, '"', row_bytes)


def _check_header(file: Path, begin: bytes, names: Sequence[str]) -> None:
    text = begin.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), escapechar="\\", strict=True), [])
    except csv.Error as error:
        raise BadResult(f"{file.name} does not begin with a header: {error}") from error
    if header != list(names):
        raise BadResult(
            f"the header of {file.name} is {','.join(header)[:200]!r}; AMC announced the columns {', '.join(names)}"
        )


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        yield from iter(lambda: content.read(CHUNK), b"")


def _has_backslash(file: Path) -> bool:
    return any(b"\\" in piece for piece in _pieces(file))


def _is_escaped_inside_quotes(file: Path, go_on: Callable[[], None]) -> bool:
    left = b""
    for piece in _pieces(file):
        go_on()
        left += piece
        fitting = _ESCAPED.match(left)
        left = left[fitting.end() if fitting else 0 :]
        if len(left) > MAX_ROW:
            return False
    return not left


def _write_plain(file: Path, copy: Path, go_on: Callable[[], None]) -> None:
    csv.field_size_limit(MAX_ROW)
    try:
        with (
            file.open(encoding="utf-8-sig", newline="") as content,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            lines = iter(partial(content.readline, MAX_ROW + 1), "")
            rows = csv.reader(lines, escapechar="\\", strict=True)
            writer = csv.writer(out, lineterminator="\n")
            while some := list(itertools.islice(rows, ROWS)):
                go_on()
                writer.writerows(some)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadResult(f"{file.name} is not CSV in UTF-8: {error}") from error
