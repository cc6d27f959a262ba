-- Why a segment is not run, which result it fetches again, and how many failures stop a collection as it now stands.

-- migrate:up
ALTER TABLE report_data_collections ADD COLUMN stop_after_failures integer;
ALTER TABLE report_data_weeks
  ADD COLUMN skip_reason   text,
  ADD COLUMN supersedes    uuid,
  ADD COLUMN superseded_by uuid,
  DROP CONSTRAINT report_data_weeks_skipped_check;
-- Both stand in events that the projection has passed already.
TRUNCATE workflows, amc_account_states, amc_instances, instance_grants, team_limits, report_data_collections,
         report_data_weeks, workflow_schedules, schedule_runs, reports, report_steps;
UPDATE projection_checkpoints SET position = 0 WHERE projection = 'read_models';
ALTER TABLE report_data_weeks
  ADD CONSTRAINT report_data_weeks_skipped_check CHECK ((status = 'skipped') = (skip_reason IS NOT NULL)),
  ADD CONSTRAINT report_data_weeks_reused_check
    CHECK (coalesce(skip_reason IN ('final', 'has_result'), false) = (reused_segment_id IS NOT NULL)
           AND (reused_segment_id IS NULL OR (checksum IS NOT NULL AND row_count IS NOT NULL)));
-- include functions/complete_through.sql
-- include functions/report_complete_through.sql

-- migrate:down
DROP FUNCTION report_complete_through;
DROP FUNCTION complete_through;
ALTER TABLE report_data_weeks DROP CONSTRAINT report_data_weeks_reused_check,
  DROP CONSTRAINT report_data_weeks_skipped_check, DROP COLUMN superseded_by, DROP COLUMN supersedes,
  DROP COLUMN skip_reason;
UPDATE report_data_weeks SET status = 'pending' WHERE status = 'skipped' AND reused_segment_id IS NULL;
ALTER TABLE report_data_weeks ADD CONSTRAINT report_data_weeks_skipped_check
  CHECK (status <> 'skipped'
         OR (reused_segment_id IS NOT NULL AND checksum IS NOT NULL AND row_count IS NOT NULL));
ALTER TABLE report_data_collections DROP COLUMN stop_after_failures;
