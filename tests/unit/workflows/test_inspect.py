"""What SQL is found to count and read; and that any text gets an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflows.inspect import Inspection, inspect_sql, segmentation_warnings

DISTINCT = [
    ("SELECT campaign, COUNT(DISTINCT user_id) AS reach FROM dsp_impressions GROUP BY campaign", ["reach"]),
    ("SELECT count ( distinct user_id ) FROM t", ["column 1"]),
    ("SELECT a, SUM(DISTINCT x) AS s, AVG(DISTINCT x) AS v FROM t GROUP BY a", ["s", "v"]),
    ("SELECT APPROX_COUNT_DISTINCT(user_id) AS u, APPROX_PERCENTILE(spend, .5) AS p FROM t", ["u", "p"]),
    ("SELECT 1.0 * COUNT(DISTINCT a) / NULLIF(SUM(b), 0) AS rate FROM t", ["rate"]),
    ("SELECT CASE WHEN COUNT(DISTINCT a) > 5 THEN 'many' ELSE 'few' END AS how FROM t", ["how"]),
    ("SELECT COUNT(DISTINCT a) FILTER (WHERE b > 1) AS n FROM t", ["n"]),
    # Through common table expressions, subqueries, unions and other columns.
    ("WITH r AS (SELECT c, COUNT(DISTINCT u) AS n FROM t GROUP BY 1) SELECT c, SUM(n) AS s FROM r GROUP BY c", ["s"]),
    ("WITH r (c, n) AS (SELECT c, COUNT(DISTINCT u) FROM t GROUP BY 1) SELECT c, n FROM r", ["n"]),
    ("WITH a AS (SELECT COUNT(DISTINCT u) AS n FROM t), b AS (SELECT n FROM a) SELECT x.n AS m FROM b AS x", ["m"]),
    ("SELECT s.n FROM (SELECT COUNT(DISTINCT u) AS n FROM t) AS s", ["n"]),
    ("SELECT N FROM (SELECT COUNT(DISTINCT u) AS n FROM t)", ["N"]),
    ("SELECT (SELECT COUNT(DISTINCT u) FROM t) AS n, a FROM q", ["n"]),
    ("SELECT c, 1 AS n FROM a UNION ALL SELECT c, COUNT(DISTINCT u) FROM b GROUP BY c", ["n"]),
    ("SELECT COUNT(DISTINCT u) AS n, n / 2 AS half FROM t", ["n", "half"]),
    ("WITH r AS (SELECT COUNT(DISTINCT u) AS n FROM t) SELECT a.x, r.n FROM a JOIN r ON a.x = r.n", ["n"]),
    # A row per user, counted: users, by another name.
    ("WITH u AS (SELECT user_id, SUM(i) f FROM t GROUP BY user_id) SELECT f, COUNT(*) AS n FROM u GROUP BY f", ["n"]),
    ("WITH u AS (SELECT user_id, SUM(i) f FROM t GROUP BY 1) SELECT f, COUNT(user_id) AS n FROM u GROUP BY 1", ["n"]),
    ("SELECT COUNT(1) AS n FROM (SELECT DISTINCT user_id FROM t)", ["n"]),
    ("WITH u AS (SELECT user_id AS who FROM t GROUP BY who) SELECT COUNT(*) AS n FROM u", ["n"]),
    ("WITH u AS (SELECT DISTINCT user_id FROM t), v AS (SELECT user_id FROM u) SELECT COUNT(*) AS n FROM v", ["n"]),
]  # fmt: skip

ADDING = [
    "SELECT campaign, SUM(clicks) AS clicks, COUNT(*) AS n, COUNT(user_id) AS m FROM t GROUP BY campaign",
    "SELECT MAX(DISTINCT a), MIN(DISTINCT b) FROM t",
    "SELECT DISTINCT campaign FROM t",
    "WITH r AS (SELECT c, COUNT(DISTINCT u) AS n FROM t GROUP BY 1) SELECT c FROM r WHERE n > 5",
    "SELECT c, SUM(x) FROM t WHERE c IN (SELECT c FROM q GROUP BY c HAVING COUNT(DISTINCT u) > 5) GROUP BY c",
    "WITH r AS (SELECT COUNT(DISTINCT u) AS n, 1 AS k FROM t) SELECT q.n, k FROM q JOIN r ON q.k = r.k",
    "WITH u AS (SELECT user_id, SUM(i) f FROM t GROUP BY 1) SELECT SUM(f) AS impressions FROM u",
    "SELECT 'COUNT(DISTINCT user_id)' AS text FROM t -- COUNT(DISTINCT user_id)",
    "SELECT ARRAY_SORT(COLLECT(DISTINCT a)) AS path FROM t",
]


@pytest.mark.parametrize(("sql", "columns"), DISTINCT)
def test_distinct_counts_are_followed_to_the_columns_of_the_result(sql: str, columns: list[str]) -> None:
    found = inspect_sql(sql)
    assert found.parsed
    assert list(found.distinct_counts) == columns


@pytest.mark.parametrize("sql", ADDING)
def test_what_adds_up_over_segments_is_not_taken_for_a_distinct_count(sql: str) -> None:
    found = inspect_sql(sql)
    assert found.parsed
    assert found.distinct_counts == ()


@pytest.mark.parametrize("depth", range(1, 30, 4))
def test_distinct_counts_are_followed_through_any_depth(depth: int) -> None:
    sql = "SELECT COUNT(DISTINCT u) AS n FROM t"
    for _ in range(depth):
        sql = f"SELECT n FROM ({sql})"
    assert inspect_sql(sql).distinct_counts == ("n",)


def test_tables_are_those_of_amc_and_not_what_the_sql_defines() -> None:
    sql = """
        WITH Mine AS (SELECT a FROM DSP_Impressions JOIN "sponsored_ads_traffic" ON 1 = 1)
        SELECT SUM(a) FROM mine, (SELECT b FROM conversions) AS sub
         WHERE a IN (SELECT x FROM TABLE(EXTEND_TIME_WINDOW('amazon_attributed_events_by_traffic_time', 'P14D', 'P1D')))
           AND EXISTS (SELECT y FROM EXTEND_TIME_WINDOW('dsp_clicks', 'P1D', 'P0D') c)
           AND array_contains(CUSTOM_PARAMETER('a'), b)
    """
    found = inspect_sql(sql)
    assert found.parsed
    assert found.tables == (
        "amazon_attributed_events_by_traffic_time", "conversions", "dsp_clicks", "dsp_impressions",
        "sponsored_ads_traffic",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("table", "warned"),
    [
        ("dsp_impressions_by_user_segments", True),
        ("DSP_IMPRESSIONS_BY_MATCHED_SEGMENTS_FOR_AUDIENCES", True),
        ("dsp_video_events_feed", True),
        ("audience_segments_amer_inmarket_snapshot", True),
        ("dsp_impressions", False),
        ("my_dsp_video_events_feed", False),
    ],
)
def test_tables_that_amazon_warns_about_are_named(table: str, warned: bool) -> None:
    found = inspect_sql(f"SELECT SUM(a) FROM {table}")
    assert found.tables_that_time_out == ((table.lower(),) if warned else ())


def test_columns_with_a_high_threshold_are_named_and_others_are_not() -> None:
    sql = "SELECT t.Postal_Code, campaign, SUM(clicks) FROM t WHERE user_id IS NOT NULL GROUP BY 1, 2"
    assert inspect_sql(sql).hiding_columns == ("postal_code", "user_id")
    assert inspect_sql("SELECT campaign, SUM(clicks) FROM t GROUP BY 1").hiding_columns == ()


def test_warnings_are_for_windows_that_are_cut() -> None:
    found = Inspection(distinct_counts=("n",), hiding_columns=("user_id",))
    assert segmentation_warnings(found, 1) == ()
    assert segmentation_warnings(found, 2) == ("distinct_counts_do_not_add_up", "smaller_segments_hide_more")
    assert segmentation_warnings(Inspection(), 52) == ()


def test_sql_that_cannot_be_parsed_is_looked_through_word_by_word() -> None:
    sql = """
        WITH r AS (SELECT [column], COUNT( DISTINCT user_id ) FROM dsp_impressions_by_user_segments GROUP BY 1)
        SELECT {{x}} APPROX_DISTINCT(z), COUNT(*) FROM r JOIN "Conversions" /* FROM nowhere */
    """
    found = inspect_sql(sql)
    assert not found.parsed
    assert found.tables == ("conversions", "dsp_impressions_by_user_segments")
    assert found.distinct_counts == ("COUNT(DISTINCT)", "APPROX_DISTINCT(…)")
    assert found.hiding_columns == ("user_id",)
    assert found.tables_that_time_out == ("dsp_impressions_by_user_segments",)


VOCABULARY = """
SELECT FROM JOIN WHERE GROUP BY WITH AS ( ) ( ) , . * COUNT DISTINCT user_id t u 1 'x' "q" UNION ALL CASE WHEN END
TABLE EXTEND_TIME_WINDOW ARRAY [ ] { } -- /* */ ; HAVING IN OVER ON 't' EXISTS FILTER ->
"""
WORDS = st.sampled_from(VOCABULARY.split())


@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text())
def test_any_text_gets_an_answer(sql: str) -> None:
    assert isinstance(inspect_sql(sql), Inspection)


@pytest.mark.parametrize(
    "sql",
    [
        "(" * 100_000,
        "SELECT " + "f(" * 40_000,
        "WITH a AS (" * 9_000,
        "SELECT 1 FROM " + "(SELECT 1 FROM " * 150 + "t" + ")" * 150,
        "SELECT " + " AND ".join(["COUNT(DISTINCT a) = 1"] * 4_000) + " AS n FROM t",
        "SELECT " + "NOT " * 20_000 + "1",
        "EXTEND_TIME_WINDOW(" * 5_000,
        "'",
    ],
    ids=lambda sql: sql[:20],
)
def test_large_and_deep_texts_get_an_answer_too(sql: str) -> None:
    assert isinstance(inspect_sql(sql), Inspection)
