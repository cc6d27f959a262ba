-- Whether AMC still keeps every day of a lookback_config's window: true where the window is not empty, does
-- not end after as_of, and does not start more than `retention_days` before it. The limit counts from the
-- real as_of, whatever `dataDelayDays` says.
--
-- Raises 22023, naming the field as a JSON pointer and the remedy, for a malformed configuration: only the
-- three conditions above answer false.
CREATE OR REPLACE FUNCTION validate_lookback_limit(config jsonb, as_of date, retention_days int DEFAULT 425)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  lookback record;
BEGIN
  IF validate_lookback_limit.retention_days IS NULL OR validate_lookback_limit.retention_days < 1 THEN
    RAISE EXCEPTION '/retention_days: must be a whole number of at least 1, not %',
      coalesce(validate_lookback_limit.retention_days::text, 'null')
      USING ERRCODE = '22023';
  END IF;
  lookback := read_lookback_window(validate_lookback_limit.config, validate_lookback_limit.as_of);
  IF lookback.start_date = '-infinity' OR lookback.end_date < lookback.start_date THEN
    RETURN false;
  END IF;
  -- Compared as a difference: as_of - retention_days may lie before the calendar's first day.
  RETURN lookback.end_date <= as_of AND as_of - lookback.start_date <= retention_days;
END;
$$;
