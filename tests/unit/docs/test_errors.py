"""docs/errors.md explains each code of the catalogue, and no other."""

from __future__ import annotations

from inspect import signature

import pytest

from events.writer import AppendWriter
from service.problems import CATALOGUE, Refused, problem_response
from tests.unit.docs.markdown import DOCS, anchors, rows, sections

ERRORS = sections(DOCS / "errors.md")


def test_the_list_has_every_code_with_its_status_in_the_catalogues_order() -> None:
    listed = [(row[0], row[1]) for row in rows(ERRORS["Errors"])]
    assert listed == [(f"[{code}](#{code})", str(status)) for code, (status, _) in CATALOGUE.items()]


def test_every_code_says_whether_a_retry_helps() -> None:
    assert {row[2].partition(" ")[0] for row in rows(ERRORS["Errors"])} == {"yes", "no", "after"}


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_code_has_its_cause_and_what_to_do(code: str) -> None:
    assert "**Cause.** " in ERRORS[code]
    assert "**What to do.** " in ERRORS[code]


def test_no_code_is_explained_that_does_not_exist() -> None:
    assert set(ERRORS) - {"Errors"} == set(CATALOGUE)


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_type_of_an_answer_names_the_codes_section(code: str) -> None:
    body = bytes(problem_response(Refused(code, "detail")).body).decode()
    assert f'"type":"/docs/errors#{code}"' in body
    assert code in anchors(DOCS / "errors.md")


def test_the_queue_that_overloads_is_as_long_as_explained() -> None:
    limit = signature(AppendWriter).parameters["max_queue"].default
    assert f"{limit:,}" in ERRORS["overloaded"]
