-- Limits of accounts, teams and their users, and the pace at which accounts call AMC, over all processes.

-- migrate:up
ALTER TABLE amc_account_states
  ADD COLUMN max_concurrent      integer,
  ADD COLUMN requests_per_second double precision,
  ADD COLUMN burst               integer;
-- include tables/team_limits.sql
-- include tables/amc_paces.sql
-- include tables/amc_breakers.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON team_limits, amc_paces, amc_breakers TO report_builder_service;
-- include functions/amc_rate.sql
-- include functions/take_amc_call.sql
-- include functions/end_amc_call.sql
-- include functions/account_held.sql
-- include functions/slot_holders.sql
-- include functions/admit_segments.sql

-- migrate:down
DROP FUNCTION slot_holders;
DROP FUNCTION end_amc_call;
DROP FUNCTION take_amc_call;
DROP FUNCTION amc_rate;
DROP TABLE amc_breakers, amc_paces, team_limits;
ALTER TABLE amc_account_states DROP COLUMN burst, DROP COLUMN requests_per_second, DROP COLUMN max_concurrent;
