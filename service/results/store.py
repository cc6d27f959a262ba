"""Where result files are kept, each under the SHA-256 of its content: a port, with a folder and S3 behind it.

A name is written once and never changes, so writing it again changes nothing, and whoever reads it can see whether it
is what was written.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

SCRATCH_SECONDS = 24 * 3600


class ResultMissing(Exception):
    """The store has no such file; the message is where it was looked for."""


class ResultDamaged(Exception):
    """The file's content is not what its name says; the message is where it is."""


class StoreUnavailable(OSError):
    """The store did not do what it was asked for; it may another time."""


class ResultStore(Protocol):
    """Content-addressed files. Whatever may pass, on this machine or in the store, is an OSError."""

    def prepare(self) -> None:
        """Makes the folders, and clears what a killed process left of its work a day ago or earlier."""

    def scratch_folder(self) -> tempfile.TemporaryDirectory[str]:
        """A folder for work in progress; a killed process leaves it for `prepare`."""

    async def keep(self, file: Path) -> tuple[str, int]:
        """Puts a finished file of a scratch folder into the store, whole or not at all; it may be gone then. Answers
        its checksum and its size in bytes."""

    async def fetch(self, checksum: str, target: Path) -> None:
        """Brings the file with this checksum to `target`, in a scratch folder, to be read only. Raises ResultMissing
        and ResultDamaged."""


class Scratch:
    """The folder of work in progress that both kinds of store have on this machine."""

    def __init__(self, folder: Path) -> None:
        self.scratch = folder / "tmp"

    def prepare(self) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        for left in self.scratch.iterdir():
            with suppress(FileNotFoundError):  # another process clears, too
                if time.time() - left.stat().st_mtime > SCRATCH_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)

    def scratch_folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self.scratch)


def name_of(checksum: str) -> str:
    """The file's name in any store."""
    return f"{checksum[:2]}/{checksum}.parquet"


def checksum_of(file: Path) -> str:
    """SHA-256 of the content, 64 hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
