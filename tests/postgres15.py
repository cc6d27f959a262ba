"""The oldest PostgreSQL that we support, from Debian's package: a private server in a temporary folder.

It listens on a Unix socket in that folder alone, so it disturbs no other server; nothing of it stays behind.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import Server

BINARIES = Path("/usr/lib/postgresql/15/bin")


class Postgres15Missing(Exception):
    """PostgreSQL 15 is not on this machine; the message names the remedy."""


@contextmanager
def postgres15() -> Iterator[Server]:
    """A server that runs while the block does (about 2 s to start). Raises Postgres15Missing."""
    if not (BINARIES / "initdb").exists():
        raise Postgres15Missing(
            f"{BINARIES} has no PostgreSQL 15: run `scripts/system-packages postgresql15` as root, or leave these"
            " tests out by REPORT_BUILDER_TEST_WITHOUT=postgresql15"
        )
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="report-builder-postgres15-", dir="/var/tmp"))
    data, log = folder / "data", folder / "log"
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        _run(user, "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        # Not durable, and of use to nobody but the tests: nothing here must outlive a power cut.
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        _run(user, "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        try:
            yield Server(str(folder))
        finally:
            _run(user, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; Debian's package comes with a user for it."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _run(user: pwd.struct_passwd | None, program: str, *arguments: str | Path) -> None:
    finished = subprocess.run(
        [str(BINARIES / program), *map(str, arguments)],
        cwd="/",
        # The server inherits the output of pg_ctl and keeps a pipe open: a file does not wait for it.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"{program} of PostgreSQL 15 ended with exit code {finished.returncode}")
