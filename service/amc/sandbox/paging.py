"""Pages of a sorted list: the token names the last entry shown, so that new entries move nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from service.amc.sandbox.creation import Refused

LARGEST = 100

Entry = TypeVar("Entry")


def page_of(
    entries: Sequence[Entry], key: Callable[[Entry], str], query: Mapping[str, str]
) -> tuple[Sequence[Entry], str]:
    """The page that `limit` and `nextToken` of the query ask for, and the next token, empty at the end.

    An empty `nextToken` is the first page. Raises Refused.
    """
    limit = query.get("limit", str(LARGEST))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= LARGEST:
        raise Refused(422, f"limit must be between 1 and {LARGEST}.")
    begin = 0
    if query.get("nextToken"):
        try:
            shown = base64.b64decode(query["nextToken"], altchars=b"-_", validate=True).decode()
            begin = [key(entry) for entry in entries].index(shown) + 1
        except (binascii.Error, ValueError):
            raise Refused(400, "nextToken is not valid.") from None
    page = entries[begin : begin + int(limit)]
    if begin + len(page) >= len(entries):
        return page, ""
    return page, base64.urlsafe_b64encode(key(page[-1]).encode()).decode()
