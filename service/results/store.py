"""Where result files are kept: a folder, each file under the SHA-256 of its content."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SCRATCH_SECONDS = 24 * 3600


class ResultStore:
    """Content-addressed files below `folder`; a name is written once and never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scratch = folder / "tmp"

    def prepare(self) -> None:
        """Makes the folders, and clears what a killed process left of its work a day ago or earlier."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        for left in self.scratch.iterdir():
            with suppress(FileNotFoundError):  # another process clears, too
                if time.time() - left.stat().st_mtime > SCRATCH_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)

    def scratch_folder(self) -> tempfile.TemporaryDirectory[str]:
        """A folder for work in progress, on the same file system; a killed process leaves it for `prepare`."""
        return tempfile.TemporaryDirectory(dir=self.scratch)

    def path(self, checksum: str) -> Path:
        """Where the file with this checksum is."""
        return self._folder / checksum[:2] / f"{checksum}.parquet"

    async def keep(self, file: Path) -> tuple[str, int]:
        """Moves a finished file into the store; answers its checksum and its size in bytes."""
        return await asyncio.to_thread(self._keep, file)

    def _keep(self, file: Path) -> tuple[str, int]:
        with file.open("rb") as content:
            checksum = hashlib.file_digest(content, "sha256").hexdigest()
            os.fsync(content.fileno())
        size = file.stat().st_size
        target = self.path(checksum)
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
        # The event that names the file must not outlive it: the folder's entry is made durable too.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return checksum, size
