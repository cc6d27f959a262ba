"""The documents as tests read them: sections by their headings, and the tables in a section."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"

_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def sections(path: Path) -> dict[str, str]:
    """Each heading with the text below it, up to the next heading of any level; code marks left out."""
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in found[1:]), len(text)]
    return {heading[1].replace("`", ""): text[heading.end() : end] for heading, end in zip(found, ends, strict=True)}


def rows(section: str) -> list[list[str]]:
    """The cells of the section's first table, without its head; `\\|` is a bar."""
    lines = []
    for line in section.splitlines():
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def names(section: str) -> list[str]:
    """The first column of the section's table, without code marks."""
    return [row[0].strip("`") for row in rows(section)]


def anchor(heading: str) -> str:
    """What a link names behind `#`, as GitHub makes it from a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """What links to a document may name."""
    return {anchor(heading) for heading in sections(path)}
