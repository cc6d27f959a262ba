"""Names by content, recognising what was sent, and both forms of answers."""

from __future__ import annotations

import msgspec
import pytest

from service.amc.models import (
    Account,
    Execution,
    ExecutionRequest,
    Parameter,
    ParameterValue,
    matches,
    workflow_id,
)
from service.amc.wire import (
    Unreadable,
    execution_body,
    read_download_urls,
    read_execution,
    read_executions,
)

REQUEST = ExecutionRequest(
    workflow_id="rb-1",
    window_start="2025-01-01T00:00:00",
    window_end="2025-01-08T00:00:00",
    time_zone="America/New_York",
    parameter_values={"asins": ["B01", "B02"], "n": 5, "on": True},
)
SEEN = Execution(
    execution_id="e",
    workflow_id="rb-1",
    status="PENDING",
    window_start_original="2025-01-01T00:00:00",
    window_end_original="2025-01-08T00:00:00",
    time_zone_original="America/New_York",
    parameter_values={"asins": '["B01","B02"]', "n": "5", "on": "true"},
)


def test_a_workflow_is_named_by_its_content_alone() -> None:
    one, two = Parameter(name="a"), Parameter(name="b", data_type="LONG", default_value=1)
    name = workflow_id("SELECT 1", [one, two])
    assert name == workflow_id("SELECT 1", [two, one])
    assert name.startswith("rb-")
    assert len(name) == 43
    others = [
        workflow_id("SELECT 2", [one, two]),
        workflow_id("SELECT 1", [one]),
        workflow_id("SELECT 1", [one, msgspec.structs.replace(two, default_value=2)]),
    ]
    assert len({name, *others}) == 4


def test_an_execution_matches_the_request_that_made_it_in_either_spelling_of_values() -> None:
    assert matches(SEEN, REQUEST)
    assert matches(msgspec.structs.replace(SEEN, parameter_values=dict(REQUEST.parameter_values)), REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        {"workflow_id": "rb-2"},
        {"window_start": "2025-01-02T00:00:00"},
        {"window_end": "2025-01-09T00:00:00"},
        {"time_zone": "UTC"},
        {"parameter_values": {"asins": ["B02", "B01"], "n": 5, "on": True}},
        {"parameter_values": {"asins": ["B01", "B02"], "n": 5}},
    ],
)
def test_an_execution_of_another_request_does_not_match(change: dict[str, object]) -> None:
    assert not matches(SEEN, msgspec.structs.replace(REQUEST, **change))


def test_a_value_left_out_equals_its_declared_default() -> None:
    values: dict[str, ParameterValue] = {"asins": ["B01", "B02"], "n": 5}
    left_out = msgspec.structs.replace(REQUEST, parameter_values=values)
    declared = [Parameter(name="on", data_type="BOOLEAN", default_value=True)]
    assert not matches(SEEN, left_out)
    assert matches(SEEN, left_out, declared)


def test_values_are_sent_as_text_and_lists_of_text() -> None:
    body = execution_body(REQUEST)
    assert body["parameterValues"] == {"asins": ["B01", "B02"], "n": "5", "on": "true"}
    assert body["timeWindowType"] == "EXPLICIT"


def test_an_account_shows_no_secret() -> None:
    account = Account(account_id="a", client_id="c", client_secret="hush", refresh_token="Atzr|x")
    assert "hush" not in repr(account)
    assert "Atzr" not in f"{account}"


def test_wrapped_and_flat_answers_are_read_alike_and_unknown_fields_passed_over() -> None:
    flat = {
        "workflowExecutionId": "e1",
        "status": "SOMETHING_NEW",
        "createTime": "2024-09-19T20:27:04Z",
        "outputColumns": [{"name": "n", "dataType": {"type": "ARRAY"}, "column_type": "METRIC"}],
        "surprise": {"deep": []},
    }
    execution = read_execution(flat)
    assert execution == read_execution({"workflowExecution": flat})
    assert not execution.finished
    assert execution.create_time is not None
    assert execution.create_time.isoformat() == "2024-09-19T20:27:04+00:00"
    assert execution.output_columns[0].data_type == "ARRAY"


def test_a_list_answer_without_a_list_is_unreadable_instead_of_empty() -> None:
    with pytest.raises(Unreadable):
        read_executions({"message": "?"})
    with pytest.raises(Unreadable):
        read_execution({})


def test_download_addresses_may_be_strings_or_objects() -> None:
    assert read_download_urls({"downloadUrls": ["u1", {"url": "u2"}, {}]}) == ["u1", "u2"]
