"""PostgreSQL's own load program: 32 clients that each send the prepared INSERT of one row, in C.

It is the speed of one commit per event: what a service could reach whose own code cost nothing.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from pathlib import Path

from tests.bench import sample
from tests.bench.log_copy import COLUMNS, create_log_copy
from tests.bench.measuring import Load, Result, check_rows
from tests.postgres import Database

TABLE = "pgbench_log"
CLIENTS = 32
THREADS = 2

# Bodies are parameters, as they are for everybody else: literals would be parsed once and never again.
# Ids are of version 7 and made by the server, which costs less than to send them.
SCRIPT = f"""\
INSERT INTO {TABLE} ({COLUMNS}) VALUES
 (nextval('{TABLE}_position'), uuidv7(), 'report-' || uuidv7(), 1, :event_type, :schema_version, :team, :person,
  :workflow, :step, :configuration, :metadata, clock_timestamp());
"""
VARIABLES = {
    "event_type": sample.EVENT_TYPE.name,
    "schema_version": str(sample.EVENT_TYPE.version),
    "team": sample.TEAM,
    "person": str(sample.USER),
    "workflow": sample.WORKFLOW,
    "step": "review",
    "configuration": sample.CONFIGURATION,
    "metadata": sample.METADATA_JSON,
}


class PgbenchMissing(Exception):
    """There is no pgbench on this machine; the message says which package has it."""


class PgbenchFailed(Exception):
    """pgbench ended with an error; the message is its own."""


def find_pgbench() -> Path:
    """The first in PATH, else the newest that Debian's packages have put aside. Raises PgbenchMissing."""
    if found := shutil.which("pgbench"):
        return Path(found)
    versions = Path("/usr/lib/postgresql").glob("*/bin/pgbench")
    if by_version := sorted(versions, key=lambda path: float(path.parts[4])):
        return by_version[-1]
    raise PgbenchMissing(
        "pgbench was not found in PATH nor in /usr/lib/postgresql/*/bin. It is in Debian's package"
        " postgresql-contrib (postgresql-15 on Debian 12): apt-get install postgresql"
    )


async def measure(database: Database, load: Load) -> Result:
    """Its time is given in whole seconds."""
    await create_log_copy(database, TABLE)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT)
        script.flush()
        warm, _ = await _run(database, script.name, load.warm_up)
        rows, rate = await _run(database, script.name, load.measured)
    await check_rows(database.admin_url, TABLE, warm + rows)
    return Result(rate)


async def _run(database: Database, script: str, seconds: float) -> tuple[int, float]:
    """Transactions, and those per second."""
    process = await asyncio.create_subprocess_exec(
        find_pgbench(),
        *("--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", f"--jobs={THREADS}"),
        *(f"--time={max(1, round(seconds))}", f"--file={script}"),
        *(f"--define={name}={value}" for name, value in VARIABLES.items()),
        database.admin_url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    text = out.decode()
    rows = re.search(r"transactions actually processed: (\d+)", text)
    rate = re.search(r"tps = ([\d.]+)", text)
    if process.returncode != 0 or rows is None or rate is None:
        raise PgbenchFailed(errors.decode().strip() or text)
    return int(rows[1]), float(rate[1])
