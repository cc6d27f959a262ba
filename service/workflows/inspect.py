"""What a workflow's SQL reads and answers, as far as cutting its window is concerned. Pure.

DuckDB's parser reads the SQL; nothing is run. SQL that it cannot read (AMC's has forms of its own) is looked
through word by word instead, and any text at all gets an answer.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import duckdb
import msgspec

from service.workflows.lineage import Statement, count_names
from service.workflows.sql import Token, significant, unquoted

TIMES_OUT = (
    "dsp_impressions_by_matched_segments",
    "dsp_impressions_by_user_segments",
    "dsp_video_events_feed",
    "audience_segments_",
    "segment_metadata",
)
"""How the names of tables begin of which Amazon's guides say that workflows on them "will time out when run over
extended periods of time"; each has a variant for audiences."""
HIDES_ROWS = frozenset(
    {
        "user_id",
        *("city_name", "postal_code", "product_id", "pv_offer_name"),
        *("bid_price", "click_cost", "device_type", "ingress_type", "pv_billing_type", "pv_seconds_viewed"),
        *("click_dt", "click_dt_utc", "conversion_event_dt", "conversion_event_dt_utc", "event_dt", "event_dt_utc"),
        *("impression_dt", "impression_dt_utc", "pv_playback_dt_utc", "traffic_event_dt", "traffic_event_dt_utc"),
        *("reported_dealership", "vehicle_model"),
    }
)
"""Columns of the aggregation thresholds MEDIUM, HIGH (100 users to a row) and VERY_HIGH in Amazon's data source
guides. With the others a row takes 2 users at most."""
MAX_DEPTH = 200
"""Parentheses within each other, beyond which SQL is not parsed: people write some ten."""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What SQL was found to do. `parsed` is false where only its words could be looked at."""

    tables: tuple[str, ...] = ()
    """Tables that it reads, in small letters, sorted; not what it defines itself."""
    distinct_counts: tuple[str, ...] = ()
    """Columns of its result in which distinct counts or approximations end: those of two segments do not add
    up. By name; where the SQL was not parsed, the calls as they stand."""
    hiding_columns: tuple[str, ...] = ()
    """Columns that it uses and for which AMC hides a row of fewer than 100 users, sorted."""
    tables_that_time_out: tuple[str, ...] = ()
    """Of its tables those that Amazon warns about over long windows."""
    parsed: bool = True


def segmentation_warnings(inspection: Inspection, segments: int) -> tuple[str, ...]:
    """Codes of what a person should know before the SQL runs in so many segments; none of them blocks."""
    if segments < 2:
        return ()
    codes = []
    if inspection.distinct_counts:
        codes.append("distinct_counts_do_not_add_up")
    if inspection.hiding_columns:
        codes.append("smaller_segments_hide_more")
    return tuple(codes)


@lru_cache(maxsize=256)
def inspect_sql(sql: str) -> Inspection:
    """What the SQL does. Takes any text, and never raises."""
    words = significant(sql)
    try:
        found = _parsed(words)
    except (duckdb.Error, RecursionError, LookupError, ValueError, TypeError, AttributeError):
        # Another release of the parser may shape its tree in another way: the words are still there.
        found = None
    tables, distinct, columns, parsed = found or _looked_through(words)
    return Inspection(
        tables=tuple(sorted(tables)),
        distinct_counts=distinct,
        hiding_columns=tuple(sorted(columns & HIDES_ROWS)),
        tables_that_time_out=tuple(sorted(table for table in tables if table.startswith(TIMES_OUT))),
        parsed=parsed,
    )


_Findings = tuple[set[str], tuple[str, ...], set[str], bool]


def _parsed(words: list[Token]) -> _Findings | None:
    """None where the SQL cannot be parsed."""
    if _depth(words) > MAX_DEPTH:
        return None
    sql = _joined(_without_extensions(words))
    row = _parser().cursor().execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchone()
    tree: dict[str, Any] = msgspec.json.decode(row[0]) if row else {"error": True}
    if tree["error"] or not tree["statements"]:
        return None
    statements = [Statement(each["node"]) for each in tree["statements"]]
    return (
        {table for each in statements for table in each.tables},
        tuple(column for each in statements for column in each.distinct_columns),
        {column for each in statements for column in each.columns},
        True,
    )


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A database of its own, that holds nothing and reaches nothing; each look takes a cursor of it."""
    return duckdb.connect(config={"enable_external_access": "false", "threads": "1"})


def _joined(words: list[Token]) -> str:
    """SQL again, with one space wherever something was left out."""
    gaps = [" " if token.start > before.end else "" for before, token in pairwise(words)]
    return "".join(token.text + gap for token, gap in zip(words, [*gaps, ""], strict=False))


def _depth(words: list[Token]) -> int:
    deepest = depth = 0
    for token in words:
        depth += (token.text == "(") - (token.text == ")")
        deepest = max(deepest, depth)
    return deepest


def _without_extensions(words: list[Token]) -> list[Token]:
    """`TABLE(EXTEND_TIME_WINDOW('t', 'P14D', 'P1D'))`, with or without TABLE, as the table `t` that it reads."""
    result: list[Token] = []
    index = 0
    while index < len(words):
        upper = [token.text.upper() for token in words[index : index + 4]]
        wrapped = upper[:3] == ["TABLE", "(", "EXTEND_TIME_WINDOW"]
        call = index + 2 if wrapped else index
        if (wrapped or upper[:1] == ["EXTEND_TIME_WINDOW"]) and (end := _end_of_call(words, call)):
            table = words[call + 2]
            result.append(Token("name", f'"{unquoted(table.text)}"', table.start, table.end))
            index = end + (1 if wrapped else 0)
        else:
            result.append(words[index])
            index += 1
    return result


def _end_of_call(words: list[Token], start: int) -> int | None:
    """The place after `NAME('literal', …)`; None where there is no such call."""
    if [token.text for token in words[start + 1 : start + 2]] != ["("] or start + 2 >= len(words):
        return None
    if words[start + 2].kind != "text" or '"' in words[start + 2].text:
        return None
    for index in range(start + 2, min(start + 12, len(words))):
        if words[index].text == ")":
            return index + 1
    return None


def _looked_through(words: list[Token]) -> _Findings:
    """The same, from the words alone: rather too much than too little."""
    words = _without_extensions(words)
    texts = [_plain(token) for token in words]
    defined = {texts[i] for i in range(len(texts) - 2) if texts[i + 1] == "as" and texts[i + 2] == "("}
    tables = {
        texts[i + 1]
        for i in range(len(texts) - 1)
        if texts[i] in ("from", "join") and words[i + 1].kind in ("word", "name")
    }
    distinct = [
        f"{words[i].text.upper()}({'DISTINCT' if approximate is False else '…'})"
        for i in range(len(texts) - 2)
        if words[i].kind == "word" and (approximate := count_names(texts[i], texts[i + 2])) is not None
        if texts[i + 1] == "("
    ]
    columns = {text for token, text in zip(words, texts, strict=True) if token.kind in ("word", "name")}
    return tables - defined - {"lateral", "table", "unnest", "select"}, tuple(dict.fromkeys(distinct)), columns, False


def _plain(token: Token) -> str:
    """A word or a quoted name in small letters; what else there is, as it stands."""
    text = token.text[1:-1].replace('""', '"') if token.kind == "name" else token.text
    return text.lower() if token.kind in ("name", "word") else text
