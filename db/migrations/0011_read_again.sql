-- What the migrations since 0005 added to the read models stands in events that the projection has passed already:
-- it reads the log once more from its beginning.

-- migrate:up
TRUNCATE workflows, amc_account_states, amc_instances, instance_grants, report_data_collections, report_data_weeks,
         workflow_schedules, schedule_runs, reports, report_steps;
UPDATE projection_checkpoints SET position = 0 WHERE projection = 'read_models';

-- migrate:down
-- Nothing is to be taken back: the tables are as the log has made them.
SELECT;
