"""The codec: bytes that PostgreSQL keeps as they are, and text that it cannot keep."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.codec import MAX_BODY_BYTES, UnstorableText, encode

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner)
    ),
    max_leaves=10,
)


class Body(msgspec.Struct):
    zebra: str
    ant: int


def test_json_is_compact_and_in_declared_order() -> None:
    assert encode(Body("größer", 1)) == '{"zebra":"größer","ant":1}'


@given(anything)
def test_what_can_be_stored_is_stored_as_json_reads_it(value: object) -> None:
    assert json.loads(encode(value)) == value


@given(st.text(), st.text())
def test_text_with_u0000_is_refused_wherever_it_stands(before: str, after: str) -> None:
    clean = (before + after).replace("\0", "")
    text = before + "\0" + after
    for value in (text, [clean, text], {"key": {"inner": text}}, {text: 1}):
        with pytest.raises(UnstorableText, match=r"U\+0000"):
            encode(value)


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "\\", "\\\\", "u0000", '"\\u0000"', "\\\\\\u0000x"])
def test_a_backslash_before_u0000_as_letters_is_only_text(text: str) -> None:
    assert json.loads(encode([text])) == [text]


@pytest.mark.parametrize("text", ["\\\0", "\\\\\0", "\0", "x\0", '"\0', "\\u0000\0"])
def test_backslashes_before_a_real_u0000_do_not_hide_it(text: str) -> None:
    with pytest.raises(UnstorableText):
        encode([text])


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800"])
def test_a_lone_surrogate_is_refused(text: str) -> None:
    for value in (text, {text: 1}, Body(text, 1)):
        with pytest.raises(UnstorableText, match="lone surrogate"):
            encode(value)


def test_a_body_of_a_mebibyte_is_kept_and_one_byte_more_is_not() -> None:
    assert MAX_BODY_BYTES == 1024 * 1024
    longest = "é" * ((MAX_BODY_BYTES - 2) // 2)
    assert len(encode(longest).encode()) == MAX_BODY_BYTES
    with pytest.raises(UnstorableText, match=rf"has {MAX_BODY_BYTES + 1} bytes; at most {MAX_BODY_BYTES} are kept"):
        encode(longest + "x")
