"""The verifier's command, on a bundle that a test has made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events.tree.notes import SigningKey
from report_builder_verify.__main__ import main
from tests.bundles import NAME, Parts, SampleLog

Judge = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="session")
def key() -> SigningKey:
    """The log's own."""
    return SigningKey.generate(NAME)


@pytest.fixture
def judged(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: SigningKey) -> Judge:
    """Verifies a log or parts of a bundle with the log's key, and heads that were kept; answers the exit code and what
    was found."""

    def judge(bundle: SampleLog | Parts, *kept: str, arguments: tuple[str, ...] = ()) -> tuple[int, Any]:
        file = tmp_path / "bundle.zip"
        (tmp_path / "kept").write_text("\n".join(kept))
        heads = ("--head", str(tmp_path / "kept")) if kept else ()
        file = bundle.bundle(file) if isinstance(bundle, SampleLog) else bundle.write(file)
        code = main([str(file), "--key", key.verifier.text, "--json", *heads, *arguments])
        return code, json.loads(capsys.readouterr().out)

    return judge
