-- Refuses a date argument that is missing, infinite, or outside the years that "YYYY-MM-DD" can write.
CREATE OR REPLACE FUNCTION require_calendar_date(value date, name text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  IF require_calendar_date.value IS NULL THEN
    RAISE EXCEPTION '/%: is missing; give a date', require_calendar_date.name
      USING ERRCODE = '22023';
  END IF;
  IF require_calendar_date.value NOT BETWEEN date '0001-01-01' AND date '9999-12-31' THEN
    RAISE EXCEPTION '/%: must be a date from 0001-01-01 to 9999-12-31', require_calendar_date.name
      USING ERRCODE = '22023';
  END IF;
END;
$$;
