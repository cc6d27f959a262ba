"""Sealing: bound to its place, different each time, and marked where equal values must be told."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from events.configurations import ParameterValue
from events.personal import Token, is_token, read_token, stands_for
from events.types.instance import InstanceAdded
from events.types.workflow import DeclaredParameter, WorkflowCreated
from service.ciphers import NotSealedSo
from service.data_collections.plan import content_key
from service.persons.sealing import PersonKey
from service.persons.texts import hide, personal_values
from service.workflows.parameters import check_defaults, check_values

KEY = PersonKey(uuid4(), "0" * 16, b"k" * 32)
EVENT = uuid4()
VALUES = some.one_of(some.text(), some.integers(-(2**53), 2**53), some.booleans(), some.lists(some.text(), max_size=4))


@given(VALUES, some.text(max_size=30))
def test_every_value_is_sealed_into_one_token_and_opened_again(value: ParameterValue, pointer: str) -> None:
    token = KEY.seal(value, EVENT, f"/{pointer}")
    assert is_token(token)
    assert read_token(token).pointer == f"/{pointer}"
    assert msgspec.json.decode(KEY.open(read_token(token))) == value


@pytest.mark.parametrize(
    "changed",
    [{"event_id": uuid4()}, {"pointer": "/other"}, {"mark": "other"}, {"key_id": "1" * 16}, {"sealed": b"x" * 40}],
    ids=lambda changed: next(iter(changed)),
)
def test_what_is_moved_to_another_place_does_not_open(changed: dict[str, Any]) -> None:
    token: Token = read_token(KEY.seal("text", EVENT, "/reason", marked=True))
    with pytest.raises(NotSealedSo):
        KEY.open(msgspec.structs.replace(token, **changed))
    with pytest.raises(NotSealedSo):
        PersonKey(KEY.user_id, KEY.key_id, b"o" * 32).open(token)


def test_equal_texts_are_sealed_differently_and_only_marks_tell_them() -> None:
    tokens = [KEY.seal("text", uuid4(), "/reason") for _ in range(3)]
    assert len(set(tokens)) == 3
    assert read_token(tokens[0]).mark == ""
    marked = [KEY.seal(value, uuid4(), "/parameters/a", marked=True) for value in ("x", "x", "y")]
    others = PersonKey(uuid4(), "1" * 16, b"o" * 32).seal("x", EVENT, "/parameters/a", marked=True)
    assert stands_for(marked[0]) == stands_for(marked[1])
    assert len({stands_for(each) for each in (*marked, others)}) == 3


def test_no_key_is_shown() -> None:
    assert "kkkk" not in f"{KEY!r}{KEY}{KEY.__rich_repr__()}"


def test_a_content_key_is_that_of_equal_values_of_one_person_and_not_made_of_the_values() -> None:
    instance = InstanceAdded("name", "advertiser", "marketplace", "UTC")
    workflow = WorkflowCreated("w", "SELECT 1", (DeclaredParameter("who", personal=True),))

    def key(value: str) -> str:
        return content_key("amc1", instance, workflow, {"who": value}, "UTC")

    first, again = (KEY.seal("ann", uuid4(), "/parameters/who", marked=True) for _ in range(2))
    assert key(first) == key(again) != key(KEY.seal("bob", EVENT, "/parameters/who", marked=True))
    assert key(first) != key("ann")


def test_a_personal_parameter_has_no_default_and_no_value_that_was_erased() -> None:
    (problem,) = check_defaults([DeclaredParameter("who", default="ann", personal=True)])[1]
    assert problem.pointer == "/parameters/0/default"
    values, problems = check_values([DeclaredParameter("who", personal=True)], {"who": "(erased)"})
    assert (values, [each.pointer for each in problems]) == ({}, ["/parameters/who"])
    assert check_values([DeclaredParameter("who")], {"who": "(erased)"})[1] == []


@pytest.mark.parametrize(
    ("words", "hidden"),
    [
        ("no ann@example.com here", "no (personal) here"),
        ("no ANN@EXAMPLE.COM'S here", "no (personal)'S here"),
        ("o''hara, o'hara and \"q\\\"t\"", '(personal), (personal) and "(personal)"'),
        ("x is not exact: 'x'", "(personal) is not exact: '(personal)'"),
        ("row 42 of 4200", "row (personal) of 4200"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_amazons_words_are_kept_without_the_values_that_they_repeat(words: str, hidden: str) -> None:
    values: dict[str, ParameterValue] = {"a": "ann@example.com", "b": ["o'hara", 'q"t', "x"], "c": 42, "d": ""}
    assert hide(words, values) == hidden
    assert hide(words, {}) == words


def test_only_values_that_are_recorded_as_tokens_are_personal() -> None:
    recorded: dict[str, ParameterValue] = {"a": KEY.seal("x", EVENT, "/parameters/a"), "b": "y"}
    assert personal_values(recorded, {"a": "x", "b": "y"}) == {"a": "x"}
