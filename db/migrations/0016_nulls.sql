-- How many fields of each result are null, so that what AMC has suppressed can be seen.

-- migrate:up
ALTER TABLE report_data_collections ADD COLUMN null_count bigint NOT NULL DEFAULT 0;
ALTER TABLE report_data_weeks ADD COLUMN null_count bigint, ADD COLUMN nulls jsonb;

-- migrate:down
ALTER TABLE report_data_weeks DROP COLUMN nulls, DROP COLUMN null_count;
ALTER TABLE report_data_collections DROP COLUMN null_count;
