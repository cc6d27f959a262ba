-- What people do to a collection while it runs: pause, cancel, change, move to the front.

-- migrate:up
ALTER TABLE report_data_collections
  ADD COLUMN paused    jsonb,
  ADD COLUMN cancelled jsonb,
  ADD COLUMN front_at  timestamptz;
ALTER TABLE report_data_weeks ADD COLUMN front_at timestamptz;
-- include functions/settle_leases.sql
-- include functions/renew_expired_leases.sql
-- include functions/admit_segments.sql
-- include functions/recall_cancelled.sql

-- migrate:down
DROP FUNCTION recall_cancelled;
ALTER TABLE report_data_weeks DROP COLUMN front_at;
ALTER TABLE report_data_collections DROP COLUMN front_at, DROP COLUMN cancelled, DROP COLUMN paused;
