"""The oldest PostgreSQL that we support, from Debian's package: a private server in a temporary folder.

It listens on a Unix socket in that folder alone, so it disturbs no other server; nothing of it stays behind.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import Server

BINARIES = Path("/usr/lib/postgresql/15/bin")


class Postgres15Missing(Exception):
    """PostgreSQL 15 is not on this machine; the message names the remedy."""


@contextmanager
def postgres15() -> Iterator[Server]:
    """A server that runs while the block does (about 2 s to start). Raises Postgres15Missing."""
    with private_folder() as folder:
        data = folder / "data"
        initialise(data)
        start(data, folder)
        try:
            yield Server(str(folder))
        finally:
            stop(data)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for a server's data and its socket, of the user who may run it. Raises Postgres15Missing."""
    if not (BINARIES / "initdb").exists():
        raise Postgres15Missing(
            f"{BINARIES} has no PostgreSQL 15: run `scripts/system-packages postgresql15` as root, or leave these"
            " tests out by REPORT_BUILDER_TEST_WITHOUT=postgresql15"
        )
    folder = Path(tempfile.mkdtemp(prefix="report-builder-postgres15-", dir="/var/tmp"))
    try:
        if (user := _user()) is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def initialise(data: Path) -> None:
    """Makes a server's data folder, with a superuser `postgres` and no passwords."""
    run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")


def start(data: Path, socket_folder: Path) -> None:
    """Starts the server on these data; its log is beside them."""
    # Not durable, and of use to nobody but the tests: nothing here must outlive a power cut.
    options = f"-k {socket_folder} -c listen_addresses='' -c fsync=off"
    run("pg_ctl", "-D", data, "-l", f"{data}.log", "-o", options, "-w", "start")


def stop(data: Path) -> None:
    """Ends it as a crash would."""
    run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def run(program: str, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
    """A program of PostgreSQL's, or any on its path, as the user who may run servers; RuntimeError where it fails."""
    user = _user()
    with tempfile.TemporaryFile() as said:
        finished = subprocess.run(
            [program, *map(str, arguments)],
            cwd="/",
            # The server inherits the output of pg_ctl and keeps a pipe open: a file does not wait for it.
            stdout=said,
            stderr=said,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            env={"PATH": f"{BINARIES}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **(environment or {})},
            check=False,
        )
        if finished.returncode != 0:
            said.seek(0)
            raise RuntimeError(f"{program}: exit code {finished.returncode}\n{said.read().decode(errors='replace')}")


def _user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; Debian's package comes with a user for it."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
