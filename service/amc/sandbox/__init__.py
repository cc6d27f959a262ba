"""A server that stands for Amazon: the AMC reporting API over real HTTP, its SQL run by DuckDB.

Start one with `running_sandbox` (demo, tests) or `serve` (the command). It shares no code with the
service that calls it, so neither can hide the other's mistake; it imports nothing else of the program.
"""

from service.amc.sandbox.faults import Faults
from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.routes import create_app
from service.amc.sandbox.sandbox import Sandbox
from service.amc.sandbox.server import RunningSandbox, running_sandbox, serve

__all__ = [
    "Faults",
    "RunningSandbox",
    "Sandbox",
    "SandboxOptions",
    "TableFile",
    "create_app",
    "running_sandbox",
    "serve",
]
