"""The store that the settings name."""

from __future__ import annotations

import re

from service.results.folder_store import FolderStore
from service.results.s3_store import S3Place, S3Store
from service.results.store import ResultStore
from service.settings import Settings, SettingsError

_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[^?#]*))?")


def create_store(settings: Settings) -> ResultStore:
    """A folder of `data_dir`, or S3 with a scratch folder there. Raises SettingsError."""
    folder = settings.data_dir / "results"
    if settings.results_url is None:
        return FolderStore(folder)
    place = _S3.fullmatch(settings.results_url)
    if place is None:
        raise SettingsError("REPORT_BUILDER_RESULTS_URL does not fit: it must be s3://BUCKET or s3://BUCKET/PREFIX")
    if bool(settings.results_s3_access_key_id) != bool(settings.results_s3_secret_access_key):
        raise SettingsError(
            "REPORT_BUILDER_RESULTS_S3_ACCESS_KEY_ID and REPORT_BUILDER_RESULTS_S3_SECRET_ACCESS_KEY go together:"
            " set both, or neither"
        )
    return S3Store(
        S3Place(
            bucket=place["bucket"],
            prefix=(place["prefix"] or "").strip("/"),
            endpoint=settings.results_s3_endpoint,
            region=settings.results_s3_region,
            access_key_id=settings.results_s3_access_key_id,
            secret_access_key=settings.results_s3_secret_access_key,
        ),
        folder,
    )
