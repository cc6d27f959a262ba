"""Results in an S3-compatible store: uploaded in parts, checked against their names when they are read back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from service.results.store import ResultDamaged, ResultMissing, Scratch, StoreUnavailable, checksum_of, name_of

PART = 8 * 1024 * 1024
PARTS_AT_ONCE = 2  # held in memory
PIECE = 1024 * 1024
PIECE_SECONDS = 60.0
READERS = 8
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


class S3Place(msgspec.Struct, frozen=True):
    """Where the store is. What is None is as the usual `AWS_…` variables say, or the machine's role."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    def __repr__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


class S3Store(Scratch):
    """Objects of a bucket; `folder` is on this machine, for work in progress."""

    def __init__(self, place: S3Place, folder: Path) -> None:
        super().__init__(folder)
        self._place = place
        self._writing = _bucket(place, timedelta(minutes=5))
        # One request reads a whole file, however long that takes: each of its pieces has a time.
        self._reading = _bucket(place, timedelta(hours=6))
        self._readers = asyncio.Semaphore(READERS)

    async def keep(self, file: Path) -> tuple[str, int]:
        checksum, size = await asyncio.to_thread(lambda: (checksum_of(file), file.stat().st_size))
        name = name_of(checksum)
        try:
            await obstore.put_async(self._writing, name, file, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
            arrived = (await obstore.head_async(self._writing, name))["size"]
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None
        if arrived != size:
            raise StoreUnavailable(f"{self._where(name)} has {arrived} bytes in place of {size}")
        return checksum, size

    async def fetch(self, checksum: str, target: Path) -> None:
        name = name_of(checksum)
        async with self._readers:
            read = hashlib.sha256()
            with await asyncio.to_thread(target.open, "wb") as file:
                async for piece in self._pieces(name):
                    await asyncio.to_thread(_add, piece, file.write, read.update)
            if read.hexdigest() != checksum:
                raise ResultDamaged(self._where(name))

    async def _pieces(self, name: str) -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(PIECE_SECONDS):
                stream = aiter((await obstore.get_async(self._reading, name)).stream(min_chunk_size=PIECE))
            while True:
                async with asyncio.timeout(PIECE_SECONDS):
                    piece = await anext(stream, None)
                if piece is None:
                    return
                yield bytes(piece)
        except TimeoutError:
            raise StoreUnavailable(f"{self._where(name)} did not come within {PIECE_SECONDS:g} s") from None
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._unavailable(error) from None
            raise ResultMissing(self._where(name)) from None
        except BaseError as error:
            raise self._unavailable(error) from None

    def _where(self, name: str) -> str:
        return f"s3://{'/'.join(part for part in (self._place.bucket, self._place.prefix, name) if part)}"

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        """In one line; no part of the credentials is ever in it."""
        said = " ".join(str(error).partition("Debug source")[0].split())[:500]
        for secret in (self._place.access_key_id, self._place.secret_access_key):
            said = said.replace(secret, "[hidden]") if secret else said
        return StoreUnavailable(f"the store of results {self._place!r}: {said}")


def _bucket(place: S3Place, timeout: timedelta) -> Bucket:
    config: dict[str, Any] = {
        name: value
        for name in ("endpoint", "region", "access_key_id", "secret_access_key")
        if (value := getattr(place, name)) is not None
    }
    return Bucket(
        place.bucket,
        prefix=place.prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options={"timeout": timeout, "connect_timeout": timedelta(seconds=10), "allow_http": True},
        retry_config=_RETRIES,
    )


def _add(piece: bytes, *where: Any) -> None:
    for take in where:
        take(piece)
