"""Events of workflows: what earlier releases recorded can be read, whatever the rules for new ones are."""

from __future__ import annotations

import pytest

from events import codec
from events.registry import decode
from events.types.workflow import ArrayType, DeclaredParameter, WorkflowChanged, WorkflowCreated


@pytest.mark.parametrize(
    "parameter",
    ['{"name":"a/b c"}', '{"name":"a","data_type":"list of things"}', '{"name":"a","default":["x"]}', '{"name":""}'],
)
def test_parameters_that_are_refused_today_are_read_as_they_were_recorded(parameter: str) -> None:
    body = f'{{"name":"W","sql_query":"SELECT 1","parameters":[{parameter}]}}'
    recorded = decode("workflow.created", 1, body)
    assert codec.encode(recorded) == body


def test_a_list_recorded_by_its_bare_name_is_the_same_list() -> None:
    before = decode(
        "workflow.created", 1, '{"name":"W","sql_query":"S","parameters":[{"name":"a","data_type":"ARRAY"}]}'
    )
    assert before == WorkflowCreated("W", "S", (DeclaredParameter("a", ArrayType()),))
    assert codec.encode(before) == (
        '{"name":"W","sql_query":"S","parameters":'
        '[{"name":"a","data_type":{"type":"ARRAY","elementDataType":"STRING"}}]}'
    )
    assert decode("workflow.created", 1, codec.encode(before)) == before


def test_equal_content_is_equal_json_whichever_event_brought_it() -> None:
    # A review's digest is over this JSON: changed back, a workflow is what was reviewed.
    assert codec.encode(WorkflowCreated("W", "S")) == codec.encode(WorkflowChanged("W", "S"))
