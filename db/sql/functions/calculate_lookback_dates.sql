-- The window of a lookback_config as of a date of the report's zone: one row, inclusive at both ends.
--
-- relative   ends on the last complete day (as_of - 1), or with `align: calendar` with the last complete week
--            or month before as_of; `dataDelayDays` counts as if as_of were that many days earlier
-- custom     the range as given
--
-- Raises 22023, naming the field as a JSON pointer and the remedy, for a malformed configuration, for a
-- custom range that ends before it starts, and for a window that would begin before 0001-01-01.
CREATE OR REPLACE FUNCTION calculate_lookback_dates(config jsonb, as_of date)
RETURNS TABLE (start_date date, end_date date)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  SELECT lookback.start_date, lookback.end_date
  INTO calculate_lookback_dates.start_date, calculate_lookback_dates.end_date
  FROM read_lookback_window(calculate_lookback_dates.config, calculate_lookback_dates.as_of) AS lookback;

  IF calculate_lookback_dates.start_date = '-infinity' THEN
    RAISE EXCEPTION '/value: % % reach back before 0001-01-01; give a smaller number',
      left(config ->> 'value', 60), config ->> 'unit'
      USING ERRCODE = '22023';
  END IF;
  IF calculate_lookback_dates.end_date < calculate_lookback_dates.start_date THEN
    RAISE EXCEPTION '/endDate: % is before startDate %; give a later one or swap them',
      config ->> 'endDate', config ->> 'startDate'
      USING ERRCODE = '22023';
  END IF;
  RETURN NEXT;
END;
$$;
