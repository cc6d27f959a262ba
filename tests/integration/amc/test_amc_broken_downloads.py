"""Downloads that break off, end early, or bring something else than the file."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.amc.errors import AmcError
from service.amc.sandbox import SandboxOptions, TableFile, running_sandbox

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Bench, Connect

ROWS = 200_000
SQL = f"SELECT CAST(range AS VARCHAR) || '-row' AS name, range AS number FROM range({ROWS})"


class Prepared:
    """A finished execution of a few megabytes."""

    def __init__(self, bench: Bench, url: str, whole: bytes) -> None:
        self.bench, self.url, self.whole = bench, url, whole


@pytest.fixture
async def prepared(connect: Connect, adwords: TableFile) -> AsyncIterator[Prepared]:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        execution = await bench.run(bench.request(await bench.save(SQL)))
        assert execution.status == "SUCCEEDED", execution.status_reason
        (url,) = await bench.client.download_urls(bench.instance, execution.execution_id)
        (file,) = handle.sandbox.results.iterdir()
        yield Prepared(bench, url, file.read_bytes())


async def test_a_connection_that_breaks_is_taken_up_where_it_was(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepared.bench.faults(break_downloads_every=1, cut_at=0.6)
    download = prepared.bench.client.download(tmp_path / "result.csv")
    with pytest.raises(AmcError) as raised:
        await download.take(prepared.url)
    assert (raised.value.kind, raised.value.code) == ("transient", "connection_lost")
    arrived = download.received
    assert 0 < arrived < len(prepared.whole)
    assert not (tmp_path / "result.csv").exists()
    await prepared.bench.faults()
    asked: list[str | None] = []
    get = prepared.bench.session.get

    def noted(url: str, **options: Any) -> Any:
        asked.append(options["headers"].get("Range"))
        return get(url, **options)

    monkeypatch.setattr(prepared.bench.session, "get", noted)
    await download.take(prepared.url)
    assert asked == [f"bytes={arrived}-"]
    assert (tmp_path / "result.csv").read_bytes() == prepared.whole
    assert list(tmp_path.glob("*.part")) == []


async def test_a_file_that_changed_meanwhile_is_begun_again(prepared: Prepared, tmp_path: Path) -> None:
    await prepared.bench.faults(break_downloads_every=1)
    download = prepared.bench.client.download(tmp_path / "result.csv")
    with pytest.raises(AmcError):
        await download.take(prepared.url)
    await prepared.bench.faults()
    (file,) = prepared.bench.handle.sandbox.results.iterdir()
    for other in (b"name,number\nanother,1\n", prepared.whole[::-1]):
        file.write_bytes(other)
        await download.take(prepared.url)
        assert (tmp_path / "result.csv").read_bytes() == other
        (tmp_path / "result.csv").unlink()
        download = prepared.bench.client.download(tmp_path / "result.csv")


async def test_an_answer_without_a_length_is_taken_again(prepared: Prepared, tmp_path: Path) -> None:
    lines = prepared.whole.index(b"\n", len(prepared.whole) // 2) + 1
    await prepared.bench.faults(shorten_downloads_every=1, cut_at=(lines + 0.5) / len(prepared.whole))
    download = prepared.bench.client.download(tmp_path / "result.csv")
    with pytest.raises(AmcError) as raised:
        await download.take(prepared.url)
    assert (raised.value.kind, raised.value.code) == ("transient", "connection_lost")
    assert list(tmp_path.glob("*.csv")) == []
    await prepared.bench.faults()
    await download.take(prepared.url)
    assert (tmp_path / "result.csv").read_bytes() == prepared.whole


async def test_an_answer_without_a_length_is_whole_where_a_second_agrees(prepared: Prepared, tmp_path: Path) -> None:
    await prepared.bench.faults(shorten_downloads_every=1, cut_at=0.9999999)
    download = prepared.bench.client.download(tmp_path / "result.csv")
    with pytest.raises(AmcError, match="nothing says whether"):
        await download.take(prepared.url)
    await download.take(prepared.url)
    assert (tmp_path / "result.csv").read_bytes() == prepared.whole[:-1]


async def test_a_page_in_place_of_the_file_is_tried_again_and_shows_no_address(
    prepared: Prepared, tmp_path: Path
) -> None:
    await prepared.bench.faults(page_every=1)
    download = prepared.bench.client.download(tmp_path / "result.csv")
    with pytest.raises(AmcError) as raised:
        await download.take(prepared.url)
    assert (raised.value.kind, raised.value.code) == ("transient", "server_error")
    assert "InternalError" in str(raised.value)
    assert "X-Amz-Signature" not in str(raised.value)


async def test_a_packed_file_that_was_cut_off_is_noticed_and_goes_on(prepared: Prepared, tmp_path: Path) -> None:
    (file,) = prepared.bench.handle.sandbox.results.iterdir()
    half = len(prepared.whole) // 2
    packed = gzip.compress(prepared.whole[:half]) + gzip.compress(prepared.whole[half:])
    file.write_bytes(packed)
    await prepared.bench.faults(break_downloads_every=1, cut_at=0.7)
    download = prepared.bench.client.download(tmp_path / "result.csv")
    with pytest.raises(AmcError):
        await download.take(prepared.url)
    await prepared.bench.faults(shorten_downloads_every=1, cut_at=0.9)
    with pytest.raises(AmcError, match="ended early"):
        await download.take(prepared.url)
    await prepared.bench.faults()
    await download.take(prepared.url)
    assert (tmp_path / "result.csv").read_bytes() == prepared.whole
    assert download.written == len(prepared.whole)


async def test_what_is_packed_a_thousandfold_is_unpacked_in_pieces(prepared: Prepared, tmp_path: Path) -> None:
    (file,) = prepared.bench.handle.sandbox.results.iterdir()
    file.write_bytes(gzip.compress(b"name,number\n" + b"a,1\n" * 5_000_000))
    download = prepared.bench.client.download(tmp_path / "result.csv")
    await download.take(prepared.url)
    assert (tmp_path / "result.csv").stat().st_size == 12 + 20_000_000
