"""A real S3-compatible server on this machine: rclone's, over a folder. It checks signatures."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import obstore
from obstore.store import S3Store as Bucket

from tests.deployment import free_port

ACCESS_KEY_ID = "AKIDOFTESTS"
SECRET_ACCESS_KEY = "canary-secret-of-the-store"
BUCKET = "results"


class S3Server:
    """Serves `folder`, whose folders are buckets, until it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / BUCKET).mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def settings(self, prefix: str = "some/prefix") -> dict[str, str]:
        """What a service needs to keep its results there, named as its settings are."""
        return {
            "results_url": f"s3://{BUCKET}/{prefix}",
            "results_s3_endpoint": self.url,
            "results_s3_region": "us-east-1",
            "results_s3_access_key_id": ACCESS_KEY_ID,
            "results_s3_secret_access_key": SECRET_ACCESS_KEY,
        }

    def object(self, key: str) -> Path:
        """The file that holds an object of the bucket, to be read: a change of it there may be seen minutes later."""
        return self.folder / BUCKET / key

    def put(self, key: str, content: bytes) -> None:
        """Write an object as anybody could who has the credentials."""
        obstore.put(self._bucket(), key, content)

    def delete(self, key: str) -> None:
        obstore.delete(self._bucket(), key)

    def _bucket(self) -> Bucket:
        return Bucket(
            BUCKET,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            client_options={"allow_http": True},
        )

    def start(self) -> None:
        """On the same port each time."""
        self._process = subprocess.Popen(
            [
                Path(sys.executable).parent / "rclone", "serve", "s3",
                "--addr", f"127.0.0.1:{self._port}", "--auth-key", f"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}",
                # Folders are remembered, as by default: told not to, it looks for a new file until it is lucky.
                "--vfs-cache-mode", "off", "--config", "/dev/null", "--log-level", "ERROR",
                str(self.folder),
            ]
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, "rclone has ended"
                assert time.monotonic() < deadline, "rclone does not listen"
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
