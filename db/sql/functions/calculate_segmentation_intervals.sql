-- Cuts the window [start_date, end_date] into calendar days, weeks from ISO day `week_start`, or calendar
-- months: contiguous, clipped to the window at both ends, numbered from 1 with the oldest. Alignment makes a
-- week or a month the same segment in every collection.
--
-- Raises 22023, naming the argument as a JSON pointer and the remedy, for a missing or infinite date, a window
-- that ends before it starts, an unknown type and a week_start outside 1 (Monday) to 7 (Sunday).
CREATE OR REPLACE FUNCTION calculate_segmentation_intervals(
  start_date date, end_date date, type text, week_start int DEFAULT 1
)
RETURNS TABLE (segment_number int, segment_start date, segment_end date)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 60
SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  -- The first day of the week or month that holds start_date, in or before the window.
  first date;
BEGIN
  PERFORM require_calendar_date(calculate_segmentation_intervals.start_date, 'start_date');
  PERFORM require_calendar_date(calculate_segmentation_intervals.end_date, 'end_date');
  IF calculate_segmentation_intervals.end_date < calculate_segmentation_intervals.start_date THEN
    RAISE EXCEPTION '/end_date: is before start_date; give a later one or swap them' USING ERRCODE = '22023';
  END IF;
  IF calculate_segmentation_intervals.week_start IS NULL
    OR calculate_segmentation_intervals.week_start NOT BETWEEN 1 AND 7
  THEN
    RAISE EXCEPTION '/week_start: must be an ISO day from 1 (Monday) to 7 (Sunday), not %',
      coalesce(calculate_segmentation_intervals.week_start::text, 'null')
      USING ERRCODE = '22023';
  END IF;

  CASE calculate_segmentation_intervals.type
  WHEN 'daily' THEN
    RETURN QUERY
    SELECT day + 1, start_date + day, start_date + day
    FROM generate_series(0, end_date - start_date) AS day
    ORDER BY day;
  WHEN 'weekly' THEN
    first := start_date - (extract(isodow FROM start_date)::int - week_start + 7) % 7;
    RETURN QUERY
    SELECT week + 1, greatest(start_date, first + 7 * week), least(end_date, first + 7 * week + 6)
    FROM generate_series(0, (end_date - first) / 7) AS week
    ORDER BY week;
  WHEN 'monthly' THEN
    first := start_date - (extract(day FROM start_date)::int - 1);
    RETURN QUERY
    -- As timestamps without a zone: series of dates would go through the session's time zone.
    SELECT month.number::int,
      greatest(start_date, month.first::date),
      least(end_date, (month.first + interval '1 month')::date - 1)
    FROM generate_series(first::timestamp, end_date::timestamp, interval '1 month')
      WITH ORDINALITY AS month (first, number)
    ORDER BY month.number;
  ELSE
    RAISE EXCEPTION '/type: must be one of "daily", "weekly", "monthly", not %',
      coalesce('"' || left(calculate_segmentation_intervals.type, 60) || '"', 'null')
      USING ERRCODE = '22023';
  END CASE;
END;
$$;
