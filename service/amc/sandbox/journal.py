"""A file of JSON lines that only grows: what it holds survives a kill of the process at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import msgspec


class Journal:
    """Appends records and reads them back. Flushed to the system per record, not forced to the disk."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def open(self) -> list[dict[str, object]]:
        """Every whole record so far; a last line that a kill cut short is removed."""
        if self._path is None:
            return []
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self._file = self._path.open("ab")
        self._file.truncate(len(whole))
        return [msgspec.json.decode(line, type=dict[str, object]) for line in whole.splitlines() if line]

    def append(self, record: dict[str, object]) -> None:
        """Adds one record; in the hands of the system when this returns."""
        if self._file is not None:
            self._file.write(msgspec.json.encode(record) + b"\n")
            self._file.flush()

    def clear(self) -> None:
        """Forgets every record."""
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        """Closes the file; nothing more may be appended."""
        if self._file is not None:
            self._file.close()
            self._file = None
