-- Lookback windows and segments as functions of a configuration and a day.

-- migrate:up
-- include functions/require_calendar_date.sql
-- include functions/configuration_text.sql
-- include functions/configuration_number.sql
-- include functions/configuration_date.sql
-- include functions/read_lookback_window.sql
-- include functions/calculate_lookback_dates.sql
-- include functions/validate_lookback_limit.sql
-- include functions/calculate_segmentation_intervals.sql

-- migrate:down
DROP FUNCTION calculate_segmentation_intervals;
DROP FUNCTION validate_lookback_limit;
DROP FUNCTION calculate_lookback_dates;
DROP FUNCTION read_lookback_window;
DROP FUNCTION configuration_date;
DROP FUNCTION configuration_number;
DROP FUNCTION configuration_text;
DROP FUNCTION require_calendar_date;
