"""A real S3-compatible server on this machine: rclone's, over a folder. It checks signatures."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

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
        """The file that holds an object of the bucket."""
        return self.folder / BUCKET / key

    def start(self) -> None:
        """On the same port each time."""
        self._process = subprocess.Popen(
            [
                Path(sys.executable).parent / "rclone", "serve", "s3",
                "--addr", f"127.0.0.1:{self._port}", "--auth-key", f"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}",
                # What a test changes in the folder is seen at once.
                "--vfs-cache-mode", "off", "--dir-cache-time", "0s", "--config", "/dev/null", "--log-level", "ERROR",
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
