-- Many steps are begun in one round trip, and many calls to AMC get their places in one.

-- migrate:up
DROP FUNCTION IF EXISTS take_amc_call(text, text, double precision, double precision, boolean, double precision, double precision);
-- include functions/begin_steps.sql
-- include functions/take_amc_call.sql

-- migrate:down
DROP FUNCTION begin_steps;
