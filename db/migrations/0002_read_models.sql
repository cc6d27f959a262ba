-- What projections rebuild from the log: collections, segments, schedules, workflows, instances.

-- migrate:up
-- include types/backfill_status_enum.sql
-- include types/segment_status_enum.sql
-- include tables/workflows.sql
-- include tables/amc_instances.sql
-- include tables/report_data_collections.sql
-- include tables/report_data_weeks.sql
-- include tables/workflow_schedules.sql
-- include tables/projection_checkpoints.sql
-- include views/report_builder_activity.sql
INSERT INTO projection_checkpoints (projection, position) VALUES ('read_models', 0);
GRANT SELECT, INSERT, UPDATE, DELETE
   ON workflows, amc_instances, report_data_collections, report_data_weeks, workflow_schedules
   TO report_builder_service;
GRANT SELECT, UPDATE ON projection_checkpoints TO report_builder_service;
GRANT SELECT ON report_builder_activity TO report_builder_service;

-- migrate:down
DROP VIEW report_builder_activity;
DROP TABLE projection_checkpoints;
DROP TABLE workflow_schedules;
DROP TABLE report_data_weeks;
DROP TABLE report_data_collections;
DROP TABLE amc_instances;
DROP TABLE workflows;
DROP TYPE segment_status_enum;
DROP TYPE backfill_status_enum;
