"""Results in a folder that the API and the workers share."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from service.results.store import ResultDamaged, ResultMissing, Scratch, checksum_of, name_of


class FolderStore(Scratch):
    """Files below `folder`; work in progress is on the same file system, so that a file is moved, not copied."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    async def keep(self, file: Path) -> tuple[str, int]:
        return await asyncio.to_thread(self._keep, file)

    def _keep(self, file: Path) -> tuple[str, int]:
        with file.open("rb") as content:
            os.fsync(content.fileno())
        checksum, size = checksum_of(file), file.stat().st_size
        target = self._folder / name_of(checksum)
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
        # The event that names the file must not outlive it: the folder's entry is made durable too.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return checksum, size

    async def fetch(self, checksum: str, target: Path) -> None:
        await asyncio.to_thread(self._fetch, checksum, target)

    def _fetch(self, checksum: str, target: Path) -> None:
        file = self._folder / name_of(checksum)
        try:
            _link(file, target)
        except FileNotFoundError:
            raise ResultMissing(str(file)) from None
        if checksum_of(target) != checksum:
            raise ResultDamaged(str(file))


def _link(file: Path, target: Path) -> None:
    try:
        target.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:  # a file system that has no such links
        shutil.copyfile(file, target)
