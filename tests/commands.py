"""Commands as the documents print them, for tests that run them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path


def commands(document: Path, mark: str, language: str = "sh") -> str:
    """The document's code blocks that follow `<!-- mark -->`, in order."""
    text = document.read_text("utf-8")
    blocks = re.findall(rf"^<!-- {mark} -->\n```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, f"{document.name} has no block marked {mark}"
    return "\n".join(blocks)


def with_variables(script: str, values: Mapping[str, str]) -> str:
    """The script with other values for variables that it sets itself."""
    lines = script.splitlines()
    for name, value in values.items():
        found = [number for number, line in enumerate(lines) if line.removeprefix("export ").startswith(f"{name}=")]
        assert len(found) == 1, f"it sets {name} {len(found)} times"
        lines[found[0]] = f"export {name}={shlex.quote(value)}"
    return "\n".join(lines)
