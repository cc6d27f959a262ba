"""Signed addresses that end: what a download needs instead of a login, as Amazon's S3 addresses are."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from pathlib import Path
from urllib.parse import urlencode


class Signer:
    """Signs paths for some seconds. The key is kept in `state_dir`, so addresses outlive a restart."""

    def __init__(self, state_dir: Path | None) -> None:
        path = state_dir / "signing.key" if state_dir else None
        if path and path.exists():
            self._key = path.read_bytes()
        else:
            self._key = secrets.token_bytes(32)
            if path:
                path.write_bytes(self._key)

    def query(self, path: str, seconds: float) -> str:
        """The query string that opens `path` from now on for `seconds`."""
        expires = f"{time.time() + seconds:.3f}"
        return urlencode({"X-Amz-Expires": expires, "X-Amz-Signature": self._signature(path, expires)})

    def accepts(self, path: str, expires: str, signature: str) -> bool:
        """Whether the signature is ours, for this path, and not past its end."""
        expected = self._signature(path, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            return False
        return time.time() < float(expires)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{expires}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
