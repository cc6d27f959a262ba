"""The others: tasks that do nothing, through Celery, dramatiq and taskiq, with their results in PostgreSQL.

The client is a process of its own too: `python -m tests.bench.tasks LIBRARY FROM TO` sends those numbers.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec

from tests.bench.measuring import WrongRows
from tests.bench.processor import processor_seconds
from tests.deployment import ROOT
from tests.postgres import Database

Library = Literal["celery", "dramatiq", "taskiq"]

WORKERS: dict[Library, int] = {"celery": 4, "dramatiq": 2, "taskiq": 2}
"""Worker processes; of 2, 4 and 8 Celery was fastest with 4, each of which has one task at a time. dramatiq has eight
threads in each, as by default."""

WARM_UP = 100
SENDERS = 8
"""Threads (Celery, dramatiq) that send at once; taskiq sends with SENDING tasks in one loop. Each waits for its
confirms."""
SENDING = 64

COMMANDS: dict[Library, list[str]] = {
    "celery": ["celery", "-A", "tests.bench.celery_tasks", "worker", "--loglevel", "WARNING", "--concurrency"],
    "dramatiq": ["dramatiq", "tests.bench.dramatiq_tasks", "--threads", "8", "--processes"],
    "taskiq": ["taskiq", "worker", "tests.bench.taskiq_tasks:broker", "--log-level", "WARNING", "--ack-type",
               "when_saved", "--max-async-tasks", "100", "--workers"],
}  # fmt: skip
DONE: dict[Library, str] = {
    "celery": "SELECT count(*) FROM celery_taskmeta",
    "dramatiq": "SELECT count(*) FROM dramatiq_results",
    "taskiq": "SELECT count(*) FROM taskiq_results",
}
RESULTS: dict[Library, str] = {
    "celery": "SELECT result FROM celery_taskmeta WHERE status = 'SUCCESS'",
    "dramatiq": "SELECT result FROM dramatiq_results",
    "taskiq": "SELECT result FROM taskiq_results",
}


class LibraryMissing(Exception):
    """A library that we compare with is not installed; the message names the remedy."""


@contextmanager
def workers(library: Library, database: Database, amqp_url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The library's own worker command, while the block runs."""
    program = Path(sys.executable).with_name(COMMANDS[library][0])
    if not program.exists():
        raise LibraryMissing(f"{program} is missing: run this by `make bench ARGS=segments`, which installs it")
    surroundings = environment(database, amqp_url)
    # Its tables and queues, once: several workers that start at once would each make them.
    prepare = [sys.executable, "-m", "tests.bench.tasks", library, "0", "0"]
    subprocess.run(prepare, cwd=ROOT, env=surroundings, input=b"\n", capture_output=True, check=True)
    with (folder / f"{library}.log").open("wb") as output:
        process = subprocess.Popen(
            [str(program), *COMMANDS[library][1:], str(WORKERS[library])],
            cwd=ROOT,
            env=surroundings,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(database: Database, amqp_url: str) -> dict[str, str]:
    """What the modules of the libraries read."""
    address = urlsplit(database.admin_url)
    host = parse_qs(address.query)["host"][0]
    return {
        **os.environ,
        "BENCH_AMQP_URL": amqp_url,
        "BENCH_QUEUE": f"bench-{database.name}",
        "BENCH_DATABASE_URL": database.admin_url,
        "BENCH_SQLALCHEMY_URL": f"postgresql+psycopg://{address.username}@/{database.name}?host={host}",
    }


@asynccontextmanager
async def contender(library: Library, database: Database, amqp_url: str, folder: Path) -> AsyncIterator[Tasks]:
    """The library at work, warm."""
    with workers(library, database, amqp_url, folder) as process:
        tasks = Tasks(library, database, amqp_url, process)
        await tasks.run(WARM_UP)
        yield tasks


class Tasks:
    """One library at work over one database."""

    messages = 1

    def __init__(self, library: Library, database: Database, amqp_url: str, process: subprocess.Popen[bytes]) -> None:
        self._library = library
        self._database = database
        self._environment = environment(database, amqp_url)
        self._process = process
        self._sent = 0
        self._clients = 0.0

    async def run(self, count: int) -> float:
        """Sends so many tasks and waits for their results; seconds, from the first that is sent on."""
        first, self._sent = self._sent, self._sent + count
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.tasks", self._library, str(first), str(self._sent),
            cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert client.stdin is not None
        assert client.stdout is not None
        await client.stdout.readline()  # it is connected
        client.stdin.write(b"\n")
        begun = time.perf_counter()
        await self._done(self._sent)
        seconds = time.perf_counter() - begun
        self._clients += float(await client.stdout.readline())
        await client.wait()
        return seconds

    @property
    def processes(self) -> list[int]:
        """The workers."""
        return [self._process.pid]

    def processor(self) -> float:
        """Seconds that the workers and our clients have used."""
        return processor_seconds(self.processes) + self._clients

    def sandbox(self) -> float:
        """Its tasks ask nobody anything."""
        return 0.0

    async def _done(self, count: int) -> None:
        connection = await asyncpg.connect(self._database.admin_url)
        try:
            async with asyncio.timeout(300):
                while True:
                    try:
                        if await connection.fetchval(DONE[self._library]) >= count:
                            return
                    except asyncpg.UndefinedTableError:
                        pass
                    await asyncio.sleep(0.02)
        finally:
            await connection.close()

    async def check(self) -> None:
        """Raises WrongRows unless there is one good result for each task, its own."""
        connection = await asyncpg.connect(self._database.admin_url)
        try:
            rows = await connection.fetch(RESULTS[self._library])
        finally:
            await connection.close()
        values = sorted(_value(self._library, row["result"]) for row in rows)
        if values != list(range(self._sent)):
            raise WrongRows(
                f"{self._library}: {self._sent} tasks were sent, {len(values)} results are there, or others"
            )


def _value(library: Library, stored: bytes) -> int:
    if library != "taskiq":
        return msgspec.json.decode(stored, type=int)
    # What our own workers have just pickled.
    result: dict[str, Any] = pickle.loads(stored)
    return int(result["return_value"])


def _client(library: Library, first: int, last: int) -> None:
    """Sends the numbers once a line comes in; then says what it has used of the processor since."""

    def begin() -> float:
        print("connected", flush=True)
        sys.stdin.readline()
        return time.process_time()

    if library == "celery":
        from tests.bench import celery_tasks

        with ThreadPoolExecutor(SENDERS) as pool, celery_tasks.app.pool.acquire(block=True):
            begun = begin()
            for done in [pool.submit(celery_tasks.task.delay, number) for number in range(first, last)]:
                done.result()
    elif library == "dramatiq":
        from tests.bench import dramatiq_tasks

        dramatiq_tasks.prepare()
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(lambda _: dramatiq_tasks.broker.channel, range(SENDERS)))  # a connection for each
            begun = begin()
            for sent in [pool.submit(dramatiq_tasks.task.send, number) for number in range(first, last)]:
                sent.result()
            dramatiq_tasks.broker.close()
    else:
        begun = asyncio.run(_send_by_taskiq(first, last, begin))
    print(time.process_time() - begun, flush=True)


async def _send_by_taskiq(first: int, last: int, begin: Any) -> float:
    from tests.bench import taskiq_tasks

    await taskiq_tasks.broker.startup()
    begun: float = begin()
    slots = asyncio.Semaphore(SENDING)

    async def send(number: int) -> None:
        async with slots:
            await taskiq_tasks.task.kiq(number)

    await asyncio.gather(*(send(number) for number in range(first, last)))
    await taskiq_tasks.broker.shutdown()
    return begun


if __name__ == "__main__":
    _client(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))  # type: ignore[arg-type]
