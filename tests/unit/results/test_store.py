"""What a store of results promises, by both of its kinds: a folder, and a real S3-compatible server."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.results.folder_store import FolderStore
from service.results.s3_store import S3Store
from service.results.store import SCRATCH_SECONDS, ResultDamaged, ResultMissing, ResultStore, StoreUnavailable
from service.results.stores import create_store
from service.settings import Settings, SettingsError
from tests.s3 import BUCKET, SECRET_ACCESS_KEY, S3Server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


class Kept:
    """A store, where its files really are, and a way to harm them."""

    def __init__(self, store: ResultStore, folder: Path, s3: S3Server | None = None) -> None:
        self.store = store
        self._folder = folder
        self._s3 = s3
        store.prepare()

    def file(self, checksum: str) -> Path:
        return self._folder / f"{checksum[:2]}/{checksum}.parquet"

    def overwrite(self, checksum: str, content: bytes) -> None:
        if self._s3 is None:
            self.file(checksum).write_bytes(content)
        else:
            self._s3.put(self._key(checksum), content)

    def delete(self, checksum: str) -> None:
        if self._s3 is None:
            self.file(checksum).unlink()
        else:
            self._s3.delete(self._key(checksum))

    def _key(self, checksum: str) -> str:
        assert self._s3 is not None
        return str(self.file(checksum).relative_to(self._s3.object("")))

    async def keep(self, content: bytes) -> str:
        with self.store.scratch_folder() as folder:
            file = Path(folder) / "result"
            file.write_bytes(content)
            checksum, size = await self.store.keep(file)
        assert (checksum, size) == (hashlib.sha256(content).hexdigest(), len(content))
        return checksum

    async def fetch(self, checksum: str) -> bytes:
        with self.store.scratch_folder() as folder:
            await self.store.fetch(checksum, Path(folder) / "fetched")
            return (Path(folder) / "fetched").read_bytes()


@pytest.fixture(params=["folder", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "folder":
        return Kept(FolderStore(tmp_path), tmp_path)
    server: S3Server = request.getfixturevalue("s3")
    prefix = tmp_path.name
    store = create_store(Settings(data_dir=tmp_path, **server.settings(prefix)))  # type: ignore[arg-type]
    assert isinstance(store, S3Store)
    return Kept(store, server.object(prefix), server)


async def test_a_file_is_kept_under_its_checksum_and_read_back(kept: Kept) -> None:
    checksum = await kept.keep(b"content")
    assert kept.file(checksum).read_bytes() == b"content"
    assert await kept.fetch(checksum) == b"content"


async def test_the_same_content_twice_is_one_file(kept: Kept) -> None:
    first = await kept.keep(b"content")
    assert await kept.keep(b"content") == first
    assert await kept.fetch(first) == b"content"
    assert len(list(kept.file(first).parent.iterdir())) == 1


async def test_a_file_of_many_parts_is_the_same_when_it_is_read_back(kept: Kept) -> None:
    content = os.urandom(1024 * 1024) * 20 + b"end"
    checksum = await kept.keep(content)
    assert kept.file(checksum).stat().st_size == len(content)
    assert await kept.fetch(checksum) == content


async def test_a_flipped_bit_is_noticed_and_keeping_the_result_again_puts_it_right(kept: Kept) -> None:
    checksum = await kept.keep(b"content" * 1000)
    damaged = bytearray(kept.file(checksum).read_bytes())
    damaged[3000] ^= 1
    kept.overwrite(checksum, bytes(damaged))
    with pytest.raises(ResultDamaged, match=checksum):
        await kept.fetch(checksum)
    await kept.keep(b"content" * 1000)
    assert await kept.fetch(checksum) == b"content" * 1000


async def test_a_file_that_was_cut_short_is_damaged(kept: Kept) -> None:
    checksum = await kept.keep(b"content" * 1000)
    kept.overwrite(checksum, b"content")
    with pytest.raises(ResultDamaged, match=checksum):
        await kept.fetch(checksum)


async def test_a_file_that_is_not_there_is_missing(kept: Kept) -> None:
    checksum = await kept.keep(b"content")
    kept.delete(checksum)
    with pytest.raises(ResultMissing, match=checksum):
        await kept.fetch(checksum)


async def test_nothing_is_left_in_the_scratch_folder(kept: Kept, tmp_path: Path) -> None:
    await kept.fetch(await kept.keep(b"content"))
    assert list(kept.store.prepare.__self__.scratch.iterdir()) == []  # type: ignore[attr-defined]


async def test_what_a_killed_process_left_is_cleared_after_a_day(kept: Kept) -> None:
    scratch = kept.store.scratch  # type: ignore[attr-defined]
    old, young = scratch / "old", scratch / "young"
    for folder in (old, young):
        folder.mkdir()
    (old / "half").write_text("x")
    then = time.time() - SCRATCH_SECONDS - 60
    os.utime(old, (then, then))
    kept.store.prepare()
    assert [path.name for path in scratch.iterdir()] == ["young"]
    young.rmdir()


async def test_a_store_that_is_away_takes_and_gives_nothing_and_later_all(s3: S3Server, tmp_path: Path) -> None:
    kept = Kept(create_store(Settings(data_dir=tmp_path, **s3.settings("away"))), s3.object("away"))  # type: ignore[arg-type]
    checksum = await kept.keep(b"content")
    s3.stop()
    try:
        for work in (kept.keep(b"more"), kept.fetch(checksum)):
            with pytest.raises(StoreUnavailable, match="s3://results/away"):
                await work
    finally:
        s3.start()
    assert await kept.fetch(await kept.keep(b"more")) == b"more"


@pytest.mark.parametrize(
    "wrong", [{"results_s3_secret_access_key": "wrong-canary"}, {"results_url": "s3://no-such-bucket/x"}]
)
async def test_a_store_that_refuses_is_said_to_and_shows_no_secret(
    s3: S3Server, tmp_path: Path, wrong: dict[str, str]
) -> None:
    settings = Settings(data_dir=tmp_path, **(s3.settings() | wrong))  # type: ignore[arg-type]
    kept = Kept(create_store(settings), s3.object(""))
    for work in (kept.keep(b"content"), kept.fetch("0" * 64)):
        with pytest.raises(StoreUnavailable) as raised:
            await work
        said = str(raised.value) + repr(raised.value) + repr(kept.store) + repr(settings)
        assert "canary" not in said
        assert SECRET_ACCESS_KEY not in said


async def test_credentials_may_be_where_amazons_own_tools_look(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = s3.settings()
    for name in ("endpoint", "region", "access_key_id", "secret_access_key"):
        monkeypatch.setenv(f"AWS_{name.upper()}", settings[f"results_s3_{name}"])
    store = create_store(Settings(data_dir=tmp_path, results_url=f"s3://{BUCKET}"))
    kept = Kept(store, s3.object(""))
    checksum = await kept.keep(b"content")
    assert kept.file(checksum).exists()
    assert await kept.fetch(checksum) == b"content"


@pytest.mark.parametrize("url", ["s3://", "s3://UPPER/x", "https://bucket/x", "/folder", "s3://bucket?x=1"])
def test_an_address_that_is_no_store_stops_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="REPORT_BUILDER_RESULTS_URL"):
        create_store(Settings(data_dir=tmp_path, results_url=url))


def test_half_a_credential_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="go together"):
        create_store(Settings(data_dir=tmp_path, results_url="s3://bucket", results_s3_access_key_id="x"))


async def test_a_file_system_without_links_is_read_by_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    kept = Kept(FolderStore(tmp_path), tmp_path)
    checksum = await kept.keep(b"content")
    assert await kept.fetch(checksum) == b"content"
    shutil.rmtree(kept.file(checksum).parent)
    with pytest.raises(ResultMissing):
        await kept.fetch(checksum)
