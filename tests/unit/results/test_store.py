"""The folder that results are kept in."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from service.results.store import SCRATCH_SECONDS, ResultStore


async def test_a_file_is_kept_under_its_checksum_once(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results")
    store.prepare()
    for _ in range(2):
        with store.scratch_folder() as folder:
            file = Path(folder) / "result"
            file.write_bytes(b"content")
            checksum, size = await store.keep(file)
        assert (checksum, size) == (hashlib.sha256(b"content").hexdigest(), 7)
        assert store.path(checksum).read_bytes() == b"content"
    assert list(store.scratch.iterdir()) == []
    assert [path.name for path in tmp_path.rglob("*.parquet")] == [f"{checksum}.parquet"]


def test_what_a_killed_process_left_is_cleared_after_a_day(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.prepare()
    old, young = store.scratch / "old", store.scratch / "young"
    for folder in (old, young):
        folder.mkdir()
    (old / "half").write_text("x")
    then = time.time() - SCRATCH_SECONDS - 60
    os.utime(old, (then, then))
    store.prepare()
    assert [path.name for path in store.scratch.iterdir()] == ["young"]
