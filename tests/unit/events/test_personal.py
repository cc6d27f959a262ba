"""Personal text: every field that is called so is marked, and a token is told from all else."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import inspect

from events.append import AppendRequest, EncodedRequest, Write
from events.envelope import NewEvent
from events.personal import (
    QUOTED,
    Token,
    Unsealed,
    is_token,
    personal_fields,
    personal_mark,
    read_token,
    stands_for,
    unsealed_fields,
)
from events.registry import REGISTRY
from events.types.collection import CollectionPaused
from events.types.letter import Letter
from events.types.person import HoldPlaced
from events.validation import Body, Invalid, decode
from tests.unit.docs.test_contract import structs_in

PERSONAL_NAMES = {"reason", "note", "comment", "remark"}
TOKEN = Token(uuid4(), "0123456789abcdef", uuid4(), "/reason", "", b"sealed bytes of it")


def texts_of(kind: inspect.Type) -> bool:
    """Whether the type can be any text, and not one of some words."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    plain = [option.type if isinstance(option, inspect.Metadata) else option for option in options]
    return any(isinstance(option, inspect.StrType) for option in plain)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_field_that_is_called_as_what_people_write_is_marked_as_personal_or_as_not(name: str) -> None:
    for struct in structs_in(inspect.type_info(REGISTRY[name].struct)):
        described = inspect.type_info(struct)
        assert isinstance(described, inspect.StructType)
        for field in described.fields:
            mark = personal_mark(field.type)
            if field.name in PERSONAL_NAMES and texts_of(field.type):
                assert mark is not None, f"{struct.__name__}.{field.name} says not whether a person has written it"
            # Sealing looks at an event's own fields alone.
            assert not mark or struct is REGISTRY[name].struct, f"{struct.__name__}.{field.name} would not be sealed"


def test_the_fields_of_an_event_are_told_with_their_pointers() -> None:
    assert personal_fields(CollectionPaused) == (("reason", "/reason"),)
    assert personal_fields(Letter) == ()
    assert unsealed_fields(CollectionPaused("plain")) == [("reason", "/reason")]
    assert unsealed_fields(CollectionPaused(None)) == unsealed_fields(CollectionPaused(str(TOKEN))) == []


def test_what_is_not_sealed_cannot_be_appended() -> None:
    def encoded(reason: str) -> EncodedRequest:
        event = NewEvent(data=HoldPlaced(reason), team_id="t", user_id=UUID(int=1))
        return EncodedRequest(AppendRequest((Write("person-1", "any", (event,)),)))

    for text in ("plain", f"{TOKEN} ", f"so: {TOKEN}", "~p1.", "~p1.x.y.z"):
        with pytest.raises(Unsealed, match="HoldPlaced/reason is personal text"):
            encoded(text)
    encoded(str(TOKEN))


def test_a_token_is_safe_text_that_says_what_opening_it_takes() -> None:
    text = str(TOKEN)
    assert is_token(text)
    assert read_token(text) == TOKEN
    assert msgspec.json.encode(text) == f'"{text}"'.encode()
    assert not {is_token(other) for other in (text[:-20] + "=", f"x{text}", f"{text}\n", 5, None, ["~p1."])} - {False}
    with pytest.raises(ValueError, match="not a token"):
        read_token("~p1.x")


def test_only_a_whole_string_of_json_is_opened() -> None:
    body = msgspec.json.encode({"a": str(TOKEN), "b": [f"see {TOKEN}", f"{TOKEN}!"], "c": f'"{TOKEN}"'})
    assert [found[0] for found in QUOTED.finditer(body)] == [f'"{TOKEN}"'.encode()]


def test_a_value_counts_by_its_mark_and_another_one_as_it_is() -> None:
    again = msgspec.structs.replace(TOKEN, event_id=uuid4(), sealed=b"other bytes", mark="m")
    marked = msgspec.structs.replace(TOKEN, mark="m")
    assert stands_for(str(marked)) == stands_for(str(again)) != stands_for(str(TOKEN))
    assert [stands_for(value) for value in ("x", 5, ["a"])] == ["x", 5, ["a"]]


class Named(Body, frozen=True):
    name: str
    values: dict[str, str | list[str] | int]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": str(TOKEN), "values": {}}, "/name"),
        ({"name": "so: ~p1.", "values": {}}, "/name"),
        ({"name": "x", "values": {"a": "~p1."}}, "/values/a"),
        ({"name": "x", "values": {"a": ["b", "~p1."]}}, "/values/a/1"),
    ],
)
def test_no_request_may_bring_what_could_be_taken_for_a_token(body: object, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode(Named, msgspec.json.encode(body).replace(b"~", b"\\u007e"))
    (problem,) = refused.value.problems
    assert problem.pointer == pointer
    assert "holds ~p1., with which the service's own sealed texts begin; remove it" in problem.message
