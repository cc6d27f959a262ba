"""Every link in README.md and docs/ leads to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.unit.docs.markdown import DOCS, ROOT, anchors

DOCUMENTS = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_paths_of_this_repository_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    folders = "service|events|projections|db|tests|docs|scripts"
    named = set(re.findall(rf"`((?:{folders})/[\w./-]+)`", text))
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("decision", DECISIONS, ids=_name)
def test_a_decision_has_the_four_parts(decision: Path) -> None:
    headings = re.findall(r"^#+ (.*)$", decision.read_text("utf-8"), re.MULTILINE)
    assert headings[0].startswith(f"{int(decision.name[:4])}. ")
    assert headings[1:] == ["Context", "Decision", "Alternatives", "Consequences"]


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_dependency_is_explained_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    text = (DOCS / "decisions" / "0001-dependencies.md").read_text("utf-8")
    explained = re.findall(r"^\| `([\w-]+)`", text, re.MULTILINE)
    assert sorted(explained) == sorted({re.split(r"[^\w-]", each)[0] for each in wanted})
