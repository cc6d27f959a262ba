"""The header `Report-Drift`: which columns are not the same in all segments of a table, as RFC 9651 writes lists."""

from __future__ import annotations

from collections.abc import Sequence

from service.results.schema import Unified

MOST = 4000
"""Characters of the header at most: proxies refuse larger ones."""


def drift_header(drifted: Sequence[Unified]) -> str:
    """A list of the columns' names. Parameters: `types` that were found, newest first, and the one they are read `as`;
    `names`, where they differ in case; `missing`, in how many segments. Where it is too long, its end is `...` with
    how many `more` there are."""
    words: list[str] = []
    for number, column in enumerate(drifted):
        word = _item(column)
        if sum(map(len, words)) + len(word) > MOST:
            return ", ".join([*words, f'"...";more={len(drifted) - number}'])
        words.append(word)
    return ", ".join(words)


def _item(column: Unified) -> str:
    word = _text(column.name)
    if len(column.types) > 1:
        word += f";types={_text(' '.join(column.types))};as={_text(column.type)}"
    if len(column.spellings) > 1:
        word += f";names={_text(' '.join(column.spellings))}"
    return f"{word};missing={column.missing}" if column.missing else word


def _text(text: str) -> str:
    """A String, or where that cannot hold it a Display String."""
    if all(" " <= character <= "~" for character in text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    encoded = "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte not in b'%"' else f"%{byte:02x}" for byte in text.encode()
    )
    return f'%"{encoded}"'
