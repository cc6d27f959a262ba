"""What answers, exceptions and ended executions mean."""

from __future__ import annotations

import aiohttp
import msgspec
import pytest

from service.amc.errors import (
    CREATE_EXECUTION,
    classify_answer,
    classify_exception,
    classify_token_answer,
    message_of,
    redact,
    retry_after,
)
from service.amc.outcomes import OVERLAP_WAIT, failure_of

OVERLAP = (
    'Execution "x" of workflow "y" could not be run because too many workflows have already been run '
    "against the same input data sources in the same or overlapping time windows."
)


@pytest.mark.parametrize(
    ("status", "kind", "may_have_landed"),
    [
        (400, "permanent", False),
        (403, "permanent", False),
        (404, "permanent", False),
        (422, "permanent", False),
        (429, "transient", False),
        (500, "transient", True),
        (502, "transient", True),
        (504, "transient", True),
        (415, "unknown", False),
        (307, "unknown", True),
        (408, "unknown", True),
        (409, "unknown", True),
    ],
)
def test_a_status_decides_the_kind_and_whether_a_create_may_have_landed(
    status: int, kind: str, may_have_landed: bool
) -> None:
    error = classify_answer(CREATE_EXECUTION, status, b"{}")
    assert (error.kind, error.may_have_landed) == (kind, may_have_landed)
    assert not classify_answer("get_execution", status, b"{}").may_have_landed


def test_the_text_is_the_first_filled_of_the_fields_that_amazon_uses() -> None:
    fields = {"details": "third", "messageSubject": "fourth", "statusReason": "second", "message": ""}
    assert message_of(msgspec.json.encode(fields)) == "second"
    assert message_of(b'{"code": "400", "details": "only this"}') == "only this"
    assert message_of(b"plain words") == "plain words"
    assert message_of(b"\xff\xfe{") != ""


def test_a_page_of_markup_becomes_its_words_and_stays_short() -> None:
    page = b"<html><head><title>429</title><style>a{b}</style></head><body>" + b"<p>Slow down</p>" * 99
    assert message_of(page).startswith("429 Slow down")
    assert len(message_of(page)) <= 200


def test_no_message_holds_a_credential() -> None:
    body = b'{"message": "bad token Atza|IwEBIabc-_ for my-client-secret"}'
    error = classify_answer("get_execution", 400, body, secrets=["my-client-secret"])
    assert str(error) == "bad token [hidden] for [hidden] (refused, HTTP 400)"
    assert redact("Workflow", ["o"]) == "Workflow"


def test_a_message_of_unavailable_results_is_transient_whatever_the_status() -> None:
    body = b'{"message": "Execution with ID 1 is unavailable for download."}'
    for status in (400, 404):
        error = classify_answer("download_urls", status, body)
        assert (error.kind, error.code) == ("transient", "not_downloadable")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "Mon, 01 Jan 2024 00:01:00 GMT", "Date": "Mon, 01 Jan 2024 00:00:30 GMT"}, 30.0),
        ({"Retry-After": "Mon, 01 Jan 2024 00:01:00 GMT"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_broken_connections_and_time_outs_may_have_landed() -> None:
    for error in (aiohttp.ServerDisconnectedError(), TimeoutError(), ConnectionResetError(104, "reset")):
        found = classify_exception(CREATE_EXECUTION, error)
        assert (found.kind, found.may_have_landed) == ("transient", True)
    assert not classify_exception("get_execution", TimeoutError()).may_have_landed


def test_a_token_refused_for_good_is_a_revoked_account_and_a_busy_server_is_not() -> None:
    assert classify_token_answer(400, b'{"error": "invalid_grant"}').code == "account_revoked"
    busy = classify_token_answer(503, b"")
    assert (busy.kind, busy.code == "account_revoked", busy.may_have_landed) == ("transient", False, False)


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("REJECTED", "From line 1, column 8 to line 1, column 14: Object 'x' not found", "permanent"),
        ("REJECTED", 'Encountered "{" at line 8, column 3', "permanent"),
        ("FAILED", "unable to compile", "permanent"),
        ("FAILED", "Parameter 'x' is not declared", "permanent"),
        ("REJECTED", OVERLAP, "overlap"),
        ("FAILED", OVERLAP, "overlap"),
        ("FAILED", "Workflow execution timed out.", "timeout"),
        ("FAILED", "Internal error", "unknown"),
        ("REJECTED", "", "unknown"),
        ("CANCELLED", "", "cancelled"),
    ],
)
def test_an_execution_that_ended_badly_says_how_to_go_on(status: str, reason: str, code: str) -> None:
    failure = failure_of(status, reason)
    assert failure is not None
    assert failure.code == code
    assert failure.reason
    if code == "overlap":
        assert (failure.retries, failure.retry_after) == (1, OVERLAP_WAIT)


def test_what_has_not_ended_badly_is_no_failure() -> None:
    for status in ("PENDING", "RUNNING", "PUBLISHING", "SUCCEEDED", "SOMETHING_NEW"):
        assert failure_of(status, "") is None
