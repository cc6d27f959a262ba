"""Heads in a bucket of an S3-compatible store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from service.settings import Settings, SettingsError
from service.tree.folder import SignedHead
from service.tree.places import HeadsAltered

TIMEOUT = timedelta(seconds=10)

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[^?#]*))?")


class S3Place:
    """Objects `epoch-1/00000000000000000042`, one for each head. Let the bucket keep what is once there (object
    lock), and let nobody who owns the database own it."""

    kind = "s3"

    def __init__(self, settings: Settings) -> None:
        assert settings.tree_heads_url is not None
        place = _URL.fullmatch(settings.tree_heads_url)
        if place is None:
            raise SettingsError(
                "REPORT_BUILDER_TREE_HEADS_URL does not fit: it must be s3://BUCKET or s3://BUCKET/PREFIX"
            )
        config: dict[str, Any] = {
            name: value
            for name in ("endpoint", "region", "access_key_id", "secret_access_key")
            if (value := getattr(settings, f"results_s3_{name}")) is not None
        }
        self.name = settings.tree_heads_url
        self._bucket = S3Store(
            place["bucket"],
            prefix=(place["prefix"] or "").strip("/") or None,
            config=config,  # type: ignore[arg-type]
            client_options={"allow_http": True, "timeout": TIMEOUT},
        )

    async def take(self, heads: Sequence[SignedHead]) -> None:
        other = []
        for each in heads:
            path, content = f"epoch-{each.epoch}/{each.head.size:020}", str(each.note).encode()
            try:
                await obstore.put_async(self._bucket, path, content, mode="create")
            except AlreadyExistsError:
                there = await obstore.get_async(self._bucket, path)
                if bytes(await there.bytes_async()) != content:
                    other.append(path)
        if other:
            raise HeadsAltered(f"{other[0]} is in the bucket, and is not the head that was signed")

    async def close(self) -> None:
        pass
