-- The window that a lookback_config means as of a date, not yet judged: `start_date` is -infinity where it
-- would lie before 0001-01-01, and a custom range may be reversed. calculate_lookback_dates refuses both,
-- validate_lookback_limit answers false for both; a malformed configuration is refused here, for both.
CREATE OR REPLACE FUNCTION read_lookback_window(
  config jsonb, as_of date, OUT start_date date, OUT end_date date
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  lookback_type text;
  known text[];
  unknown text;
  value numeric;
  unit text;
  align text;
  week_start int;
  -- The day as of which a relative window is evaluated: as_of less dataDelayDays.
  today date;
  -- The first day after the window: today, or the first day of today's week or month.
  period_start date;
  months_since_year_one int;
BEGIN
  PERFORM require_calendar_date(read_lookback_window.as_of, 'as_of');
  IF jsonb_typeof(read_lookback_window.config) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'lookback_config: must be an object like {"type": "relative", "value": 7, "unit": "days"}'
      USING ERRCODE = '22023';
  END IF;

  lookback_type := configuration_text(config, 'type', ARRAY['relative', 'custom']);
  IF lookback_type IS NULL THEN
    RAISE EXCEPTION '/type: is missing; give "relative" or "custom"' USING ERRCODE = '22023';
  END IF;
  known := CASE lookback_type
    WHEN 'relative' THEN ARRAY['type', 'value', 'unit', 'align', 'weekStart', 'dataDelayDays']
    ELSE ARRAY['type', 'startDate', 'endDate']
  END;
  SELECT min(field.key) INTO unknown
  FROM jsonb_each(config) AS field
  WHERE field.value <> 'null' AND field.key <> ALL (known);
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION '/%: is not a field of a % lookback; remove it, the fields are %',
      replace(replace(left(unknown, 60), '~', '~0'), '/', '~1'), lookback_type, array_to_string(known, ', ')
      USING ERRCODE = '22023';
  END IF;

  IF lookback_type = 'custom' THEN
    start_date := configuration_date(config, 'startDate');
    end_date := configuration_date(config, 'endDate');
    IF start_date IS NULL OR end_date IS NULL THEN
      RAISE EXCEPTION '/%: is missing; give a date like "2025-01-31"',
        CASE WHEN start_date IS NULL THEN 'startDate' ELSE 'endDate' END
        USING ERRCODE = '22023';
    END IF;
    RETURN;
  END IF;

  value := configuration_number(config, 'value', 1, NULL);
  unit := configuration_text(config, 'unit', ARRAY['days', 'weeks', 'months']);
  align := coalesce(configuration_text(config, 'align', ARRAY['trailing', 'calendar']), 'trailing');
  week_start := configuration_number(config, 'weekStart', 1, 7);
  today := as_of - coalesce(configuration_number(config, 'dataDelayDays', 0, 30), 0)::int;
  IF value IS NULL THEN
    RAISE EXCEPTION '/value: is missing; give a whole number of at least 1' USING ERRCODE = '22023';
  END IF;
  IF unit IS NULL THEN
    RAISE EXCEPTION '/unit: is missing; give "days", "weeks" or "months"' USING ERRCODE = '22023';
  END IF;
  IF align = 'calendar' AND unit = 'days' THEN
    RAISE EXCEPTION '/align: "calendar" goes with weeks or months; remove it or change the unit'
      USING ERRCODE = '22023';
  END IF;
  IF week_start IS NOT NULL AND NOT (align = 'calendar' AND unit = 'weeks') THEN
    RAISE EXCEPTION '/weekStart: goes with calendar weeks only; remove it or set align to "calendar" and unit to "weeks"'
      USING ERRCODE = '22023';
  END IF;

  period_start := CASE
    WHEN align = 'trailing' THEN today
    WHEN unit = 'weeks' THEN today - (extract(isodow FROM today)::int - coalesce(week_start, 1) + 7) % 7
    ELSE today - (extract(day FROM today)::int - 1)
  END;
  end_date := period_start - 1;
  start_date := '-infinity';
  IF unit = 'months' THEN
    months_since_year_one := (extract(year FROM period_start) - 1) * 12 + extract(month FROM period_start) - 1;
    IF period_start >= date '0001-01-01' AND value <= months_since_year_one THEN
      start_date := period_start - make_interval(months => value::int);
    END IF;
  ELSE
    value := value * CASE unit WHEN 'weeks' THEN 7 ELSE 1 END;
    IF value <= period_start - date '0001-01-01' THEN
      start_date := period_start - value::int;
    END IF;
  END IF;
END;
$$;
