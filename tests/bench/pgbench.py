"""PostgreSQL's own load program: clients that each send the prepared INSERT of one row, in C.

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


async def measure(database: Database, load: Load, *, clients: int = CLIENTS) -> Result:
    """Its time is given in whole seconds. With one client it also says how long each of its transactions took."""
    await create_log_copy(database, TABLE)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(SCRIPT)
        times = Path(folder) / "times" if clients == 1 else None
        warm, _ = await _run(database, script, load.warm_up, clients)
        rows, rate = await _run(database, script, load.measured, clients, times)
        latencies = [latency for file in Path(folder).glob("times*") for latency in _latencies(file)]
    await check_rows(database.admin_url, TABLE, warm + rows)
    return Result(rate, latencies)


async def _run(
    database: Database, script: Path, seconds: float, clients: int, times: Path | None = None
) -> tuple[int, float]:
    """Transactions, and those per second."""
    process = await asyncio.create_subprocess_exec(
        find_pgbench(),
        *("--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(THREADS, clients)}"),
        *(f"--time={max(1, round(seconds))}", f"--file={script}"),
        *(("--log", f"--log-prefix={times}") if times else ()),
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


def _latencies(file: Path) -> list[float]:
    """The third word of each line is the transaction's time in microseconds."""
    return [int(line.split()[2]) / 1e6 for line in file.read_text().splitlines()]
