"""A finished execution's result: its files downloaded, made into one Parquet file, and kept in the store."""

from __future__ import annotations

from pathlib import Path

import structlog

from service.amc.downloads import Download
from service.amc.errors import AmcError
from service.backfill.turn import Turn
from service.results.convert import Converted, csv_to_parquet

log = structlog.get_logger()

GOES_ON = ("url_expired", "connection_lost", "timeout")


async def store_result(turn: Turn, execution_id: str) -> tuple[Converted, str, int]:
    """What the result holds, its checksum and its bytes, once it is in the store.

    Raises AmcError for what a later try may set right or AMC refuses, BadResult for what AMC sent, OSError where the
    disk or the store fails.
    """
    with turn.tools.store.scratch_folder() as folder:
        files = await _download(turn, execution_id, Path(folder))
        result = Path(folder) / "result.parquet"
        converted = await csv_to_parquet(files, turn.segment.columns, result)
        return converted, *await turn.tools.store.keep(result)


async def _download(turn: Turn, execution_id: str, folder: Path) -> list[Path]:
    """The files of the result, in order. Raises AmcError."""
    addresses = await _addresses(turn, execution_id)
    files: list[Path] = []
    while len(files) < len(addresses):
        download = turn.amc.download(folder / f"part-{len(files) + 1}.csv")
        addresses = await _finish(turn, execution_id, download, addresses, len(files))
        files.append(download.path)
    return files


async def _finish(turn: Turn, execution_id: str, download: Download, addresses: list[str], number: int) -> list[str]:
    """Downloads one file; answers the addresses to go on with.

    Addresses end, and connections break. As long as more of the file arrives each time it is asked for again, at once
    and at a new address; what has arrived is kept.
    """
    arrived = -1
    while True:
        try:
            await download.take(addresses[number])
            return addresses
        except AmcError as error:
            if error.code not in GOES_ON or download.received <= arrived:
                raise
            log.info("download_goes_on", file=number + 1, received=download.received, error=str(error))
        arrived = download.received
        count = len(addresses)
        addresses = await _addresses(turn, execution_id)
        if len(addresses) != count:
            raise AmcError(
                f"the result was {count} files, and is {len(addresses)} now", kind="transient", code="unexpected"
            )


async def _addresses(turn: Turn, execution_id: str) -> list[str]:
    await turn.hold_lease()
    return await turn.amc.download_urls(turn.order.instance, execution_id)
