"""A private RabbitMQ node for tests, made from the machine's own `rabbitmq-server`.

Everything of a node (data, log, cookie, port mapper) lives in a temporary folder and on free ports of
the loopback interface, so it disturbs no other node; nothing of it stays behind.
`AMQP_URL` names a broker to use instead, where a test needs no more
than an address.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

START_SECONDS = 90.0
STOP_SECONDS = 20.0
# Debian's /usr/sbin/rabbitmqctl changes to the user `rabbitmq`, who cannot read our folder; the scripts
# behind it do not. Elsewhere the scripts on PATH are the real ones.
DEBIAN_SCRIPTS = Path("/usr/lib/rabbitmq/bin")
# Linux ends such a child with the thread that started it, not with the process; so no thread of a test's
# event loop may start it, but one that lasts as long as we do.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rabbitmq launcher")


class RabbitMissing(Exception):
    """No RabbitMQ server on this machine; the message names the remedy."""


class ClusterPlan(msgspec.Struct, frozen=True):
    """What the nodes of a cluster share: the secret that they know each other by, the port mapper, their names."""

    cookie: str
    mapper_port: int
    names: tuple[str, ...]

    @property
    def settings(self) -> str:
        """The lines of `rabbitmq.conf` by which a node finds the others when it first starts."""
        lines = ["cluster_formation.peer_discovery_backend = classic_config"]
        lines += [
            f"cluster_formation.classic_config.nodes.{number} = {name}" for number, name in enumerate(self.names, 1)
        ]
        return "\n".join(lines) + "\n"


class RabbitNode:
    """One RabbitMQ node, stopped until `start`; also a context manager that starts and removes it.

    `stop` and `start` keep the data, `wipe` removes it. Calls block: wrap them in a thread where an event
    loop must go on. Raises RabbitMissing without `rabbitmq-server`, RuntimeError with the log's end where
    the node does not come up. With a `plan` it is the node of that number in a cluster.
    """

    def __init__(self, plan: ClusterPlan | None = None, number: int = 0) -> None:
        self._scripts = _scripts()
        self._folder = Path(tempfile.mkdtemp(prefix="report-builder-rabbitmq-"))
        self.port, self._distribution_port, self._mapper_port = _free_ports(3)
        self.name = f"test-{secrets.token_hex(4)}@localhost"
        if plan is not None:
            self.name, self._mapper_port = plan.names[number], plan.mapper_port
            cookie = self._folder / ".erlang.cookie"
            cookie.write_text(plan.cookie)
            cookie.chmod(0o400)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self._mapper: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # A message that expires while its next queue still has no leader, right after a start, is tried again
        # only after this time; the default, 3 minutes, is longer than any test waits.
        advanced = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 2000}]}]."
        settings = plan.settings if plan else ""
        files = {"plugins": "[].", "environment.conf": "", "rabbitmq.conf": settings, "advanced.config": advanced}
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The running node's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the node with the data it has; returns when it takes connections (about 8 s)."""
        if self.running:
            return
        self._start_port_mapper()
        log = self._folder / "console.log"
        with log.open("wb") as console:
            command = [str(self._scripts / "rabbitmq-server"), "-noinput"]
            self._process = _launch(command, self._environment(), console)
        deadline = time.monotonic() + START_SECONDS
        while b"Server startup complete" not in log.read_bytes():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"RabbitMQ did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut the node down in order, as an operator would; its data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node as a power cut would (SIGKILL); its data stays as it was on disk."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the node: connections stay open, nothing is answered until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused node go on."""
        self._signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Delete everything the node ever stored; only while it is down."""
        if self.running:
            raise RuntimeError("stop or kill the node before its data is deleted")
        shutil.rmtree(self._folder / "data", ignore_errors=True)

    def remove(self) -> None:
        """End the node and its port mapper and delete the folder; may be called twice."""
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl --quiet` with these arguments prints (0.7 to 1.5 s).

        Raises CalledProcessError where it fails.
        """
        finished = subprocess.run(
            [str(self._scripts / "rabbitmqctl"), "--quiet", "-n", self.name, *arguments],
            env=self._environment(),
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
        return finished.stdout

    def _start_port_mapper(self) -> None:
        # Left alone, the node would start a daemon of its own that outlives it.
        if self._mapper is None:
            command = ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = _launch(command, self._environment(), subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._mapper_port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"epmd does not listen on port {self._mapper_port}")

    def _signal(self, what: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(what)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": folder,  # the cookie is kept there
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/environment.conf",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The script then replaces itself by the virtual machine: our child is the node itself.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +SDcpu 1:1 +SDio 4",
        }


class RabbitCluster:
    """Three nodes that hold each queue together; a context manager that starts and removes them."""

    def __init__(self) -> None:
        names = tuple(f"test-{secrets.token_hex(4)}@localhost" for _ in range(3))
        (mapper_port,) = _free_ports(1)
        plan = ClusterPlan(secrets.token_hex(16), mapper_port, names)
        self.nodes = {name: RabbitNode(plan, number) for number, name in enumerate(names)}

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor(max_workers=len(self.nodes)) as threads:
                list(threads.map(RabbitNode.start, self.nodes.values()))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The first one's port mapper serves them all.
        for node in reversed(self.nodes.values()):
            node.remove()

    @property
    def url(self) -> str:
        """All nodes, as one setting names them."""
        return ",".join(node.url for node in self.nodes.values())

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl` on a node that runs."""
        return next(node for node in self.nodes.values() if node.running).ctl(*arguments)

    def leaders(self) -> dict[str, str]:
        """The node that leads each queue, by the queue's name."""
        listed = self.ctl("list_queues", "--no-table-headers", "name", "leader")
        return dict(line.split("\t") for line in listed.splitlines() if line.count("\t") == 1)


def given_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """The broker that the environment names for tests, if any."""
    return environment.get("AMQP_URL") or None


@cache
def shared_node() -> RabbitNode:
    """The one private node of this test process, started at first use and removed at exit.

    Tests that stop or kill it must leave it running.
    """
    node = RabbitNode()
    atexit.register(node.remove)
    node.start()
    return node


def shared_url() -> str:
    """Where tests find a broker: the given one, else the shared private node."""
    return given_url() or shared_node().url


def _scripts() -> Path:
    if (DEBIAN_SCRIPTS / "rabbitmq-server").exists():
        return DEBIAN_SCRIPTS
    found = shutil.which("rabbitmq-server")
    if found is None:
        raise RabbitMissing(
            "These tests need RabbitMQ 3.10 or newer: `apt-get install rabbitmq-server` (no service needs "
            "to run), or name a broker in AMQP_URL"
        )
    return Path(found).resolve().parent


def _launch(command: list[str], environment: dict[str, str], output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a child that ends with this process, even if that is killed (Linux; elsewhere `remove` does it)."""
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*prefix, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    return _launcher.submit(start).result()


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
