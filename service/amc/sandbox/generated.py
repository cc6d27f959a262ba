"""Generated tables shaped like three of AMC's: the same rows for a day whenever and wherever they are made.

Every value is a hash of the day and the row's number, so totals add up the same over any windows.
Spend is in microcents (100,000,000 to the unit of currency), as AMC has it.
"""

from __future__ import annotations

from datetime import date, timedelta

import duckdb

DAYS = 430
DATE_COLUMN = "event_dt_utc"

_ROWS = """
    SELECT day, n, hash(strftime(day, '%Y-%m-%d'), n, '{name}') AS h,
           CAST(day AS TIMESTAMP) + to_seconds(CAST(hash(day, n, '{name} time') % 86400 AS INTEGER)) AS moment
    FROM (SELECT CAST(range AS DATE) AS day FROM range(DATE '{first}', DATE '{end}', INTERVAL 1 DAY)),
         (SELECT range AS n FROM range({per_day}))
"""

_COMMON = """
    moment AS event_dt_utc, CAST(moment AS DATE) AS event_date_utc,
    moment AS event_dt, CAST(moment AS DATE) AS event_date, CAST(hour(moment) AS INTEGER) AS event_hour_utc,
    'u' || lpad(CAST(hash(h, 'user') % 40000 AS VARCHAR), 8, '0') AS user_id,
    'ENTITYSANDBOX1' AS advertiser_id, 'Sandbox Outdoors' AS advertiser
"""

TABLES = {
    "sponsored_ads_traffic": (
        120,
        """
        'Campaign ' || CAST(1 + h % 12 AS VARCHAR) AS campaign,
        CAST(100000000000000000 + h % 12 AS VARCHAR) AS campaign_id_string,
        ['sponsored_products', 'sponsored_brands', 'sponsored_display'][CAST(1 + h % 3 AS INTEGER)]
            AS ad_product_type,
        'Ad group ' || CAST(1 + h % 40 AS VARCHAR) AS ad_group,
        'keyword ' || CAST(1 + hash(h, 'keyword') % 300 AS VARCHAR) AS customer_search_term,
        ['BROAD', 'PHRASE', 'EXACT'][CAST(1 + hash(h, 'match') % 3 AS INTEGER)] AS match_type,
        'B0' || lpad(CAST(hash(h, 'asin') % 500 AS VARCHAR), 8, '0') AS advertised_asin,
        CAST(1 + hash(h, 'impressions') % 60 AS BIGINT) AS impressions,
        CAST(hash(h, 'clicks') % 100 < 12 AS BIGINT) AS clicks,
        CAST(CASE WHEN hash(h, 'clicks') % 100 < 12 THEN 20000000 + hash(h, 'spend') % 180000000 ELSE 0 END
             AS BIGINT) AS spend,
        'USD' AS currency_name
        """,
    ),
    "dsp_impressions": (
        120,
        """
        'DSP campaign ' || CAST(1 + h % 8 AS VARCHAR) AS campaign,
        CAST(200000000000000000 + h % 8 AS VARCHAR) AS campaign_id_string,
        'Line item ' || CAST(1 + h % 32 AS VARCHAR) AS line_item,
        ['Mobile', 'PC', 'Tablet', 'ConnectedTV'][CAST(1 + hash(h, 'device') % 4 AS INTEGER)] AS device_type,
        ['CREATIVE_A', 'CREATIVE_B', 'CREATIVE_C'][CAST(1 + hash(h, 'creative') % 3 AS INTEGER)] AS creative,
        CAST(1 AS BIGINT) AS impressions,
        CAST(hash(h, 'clicks') % 1000 < 4 AS BIGINT) AS clicks,
        CAST(200000 + hash(h, 'spend') % 900000 AS BIGINT) AS total_cost,
        CAST(200000 + hash(h, 'spend') % 900000 AS BIGINT) AS spend,
        'USD' AS currency_name
        """,
    ),
    "amazon_attributed_events_by_traffic_time": (
        50,
        """
        'Campaign ' || CAST(1 + h % 12 AS VARCHAR) AS campaign,
        CAST(100000000000000000 + h % 12 AS VARCHAR) AS campaign_id_string,
        ['sponsored_products', 'sponsored_brands', 'sponsored_display'][CAST(1 + h % 3 AS INTEGER)]
            AS ad_product_type,
        'B0' || lpad(CAST(hash(h, 'asin') % 500 AS VARCHAR), 8, '0') AS tracked_asin,
        moment AS traffic_event_dt_utc,
        moment + to_hours(CAST(hash(h, 'delay') % 336 AS INTEGER)) AS conversion_event_dt_utc,
        ['detailPageView', 'shoppingCart', 'purchase'][CAST(1 + hash(h, 'event') % 3 AS INTEGER)]
            AS conversion_event_type,
        CAST(1 AS BIGINT) AS conversions,
        CAST(hash(h, 'event') % 3 = 2 AS BIGINT) AS purchases,
        CAST(CASE WHEN hash(h, 'event') % 3 = 2 THEN 1 + hash(h, 'units') % 3 ELSE 0 END AS BIGINT)
            AS units_sold,
        CAST(CASE WHEN hash(h, 'event') % 3 = 2 THEN 999 + hash(h, 'sales') % 9000 ELSE 0 END
             AS DECIMAL(18, 2)) / 100 AS product_sales
        """,
    ),
}


def create(connection: duckdb.DuckDBPyConnection, schema: str, today: date) -> None:
    """Creates the generated tables in `schema`, for the `DAYS` days before `today`."""
    for name in TABLES:
        rows = _select(name, today - timedelta(days=DAYS), today)
        connection.execute(f"CREATE TABLE {schema}.{name} AS {rows}")


def extend(connection: duckdb.DuckDBPyConnection, schema: str, was: date, today: date) -> None:
    """Moves the tables from the days before `was` to the `DAYS` days before `today`, further on or back."""
    first, first_was = today - timedelta(days=DAYS), was - timedelta(days=DAYS)
    start, end = (max(was, first), today) if today > was else (first, min(first_was, today))
    for name in TABLES:
        connection.execute(
            f"DELETE FROM {schema}.{name} WHERE event_date_utc < $first OR event_date_utc >= $end",  # noqa: S608
            {"first": first, "end": today},
        )
        connection.execute(f"INSERT INTO {schema}.{name} {_select(name, start, end)}")


def _select(name: str, first: date, end: date) -> str:
    per_day, columns = TABLES[name]
    rows = _ROWS.format(name=name, first=first, end=end, per_day=per_day)
    return f"SELECT {_COMMON}, {columns} FROM ({rows}) ORDER BY moment"  # noqa: S608 - names and dates of our own
