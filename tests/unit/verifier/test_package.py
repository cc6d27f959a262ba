"""The verifier stands alone: an auditor installs it with nothing of the service, and reads it."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "verifier" / "report_builder_verify"


def test_it_imports_the_standard_library_and_one_package() -> None:
    imported = set()
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert packages == {"report_builder_verify", "cryptography"}


def test_it_is_installed_alone_as_with_the_service() -> None:
    alone = tomllib.loads((ROOT / "verifier" / "pyproject.toml").read_text())
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert alone["project"]["requires-python"] == whole["project"]["requires-python"]
    ((name, command),) = alone["project"]["scripts"].items()
    assert whole["project"]["scripts"][name] == command
    assert f"verifier/{PACKAGE.name}" in whole["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    (dependency,) = alone["project"]["dependencies"]
    assert dependency.startswith("cryptography")
