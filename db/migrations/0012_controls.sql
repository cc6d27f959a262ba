-- What people do to a collection while it runs: pause, cancel, change, move to the front; and one segment first,
-- which holds the collection where AMC rejects its SQL, as too many failures do.

-- migrate:up
ALTER TABLE report_data_collections
  ADD COLUMN paused    jsonb,
  ADD COLUMN cancelled jsonb,
  ADD COLUMN held      jsonb,
  ADD COLUMN sql_taken boolean NOT NULL DEFAULT false,
  ADD COLUMN stop_at_failures integer,
  ADD COLUMN front_at  timestamptz;
ALTER TABLE report_data_weeks ADD COLUMN front_at timestamptz;
-- Whether AMC has taken a collection's SQL stands in events that the projection has passed already.
TRUNCATE workflows, amc_account_states, amc_instances, instance_grants, report_data_collections, report_data_weeks,
         workflow_schedules, schedule_runs, reports, report_steps;
UPDATE projection_checkpoints SET position = 0 WHERE projection = 'read_models';
-- include functions/settle_leases.sql
-- include functions/renew_expired_leases.sql
-- include functions/admit_segments.sql
-- include functions/recall_cancelled.sql

-- migrate:down
DROP FUNCTION recall_cancelled;
ALTER TABLE report_data_weeks DROP COLUMN front_at;
ALTER TABLE report_data_collections DROP COLUMN front_at, DROP COLUMN stop_at_failures, DROP COLUMN sql_taken, DROP COLUMN held, DROP COLUMN cancelled, DROP COLUMN paused;
