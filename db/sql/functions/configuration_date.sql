-- The date in one field of a configuration, or NULL where the field is absent.
-- Only "YYYY-MM-DD" counts: a plain cast would take "today", "infinity" and the session's DateStyle.
CREATE OR REPLACE FUNCTION configuration_date(config jsonb, field text)
RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  value jsonb := NULLIF(configuration_date.config -> configuration_date.field, 'null');
  part text[];
  month_start date;
BEGIN
  IF value IS NULL THEN
    RETURN NULL;
  END IF;
  IF jsonb_typeof(value) = 'string' THEN
    part := regexp_match(value #>> '{}', '^([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$');
  END IF;
  IF part[1] > '0000' THEN
    month_start := make_date(part[1]::int, part[2]::int, 1);
    -- The day belongs to the month exactly if stepping to it stays in the month.
    IF extract(month FROM month_start + (part[3]::int - 1)) = part[2]::int THEN
      RETURN month_start + (part[3]::int - 1);
    END IF;
  END IF;
  RAISE EXCEPTION '/%: must be a date of the calendar like "2025-01-31", not %',
    configuration_date.field, left(value::text, 60)
    USING ERRCODE = '22023';
END;
$$;
