-- The list of reports, and what a collection needs for its results to be used again.

-- migrate:up
-- include tables/reports.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON reports TO report_builder_service;

ALTER TABLE report_data_collections ADD COLUMN content_key text NOT NULL DEFAULT '';
-- Which segments are there already: those of collections with the same key.
CREATE INDEX report_data_collections_content_idx ON report_data_collections (team_id, content_key);
-- A report's results, over its backfill and its runs.
CREATE INDEX report_data_collections_report_idx ON report_data_collections (report_id);
-- How long segments take on an instance.
CREATE INDEX report_data_collections_instance_idx ON report_data_collections (instance_id, created_at);

ALTER TABLE report_data_weeks
  ADD COLUMN reused_segment_id uuid,
  ADD CONSTRAINT report_data_weeks_skipped_check
    CHECK (status <> 'skipped'
           OR (reused_segment_id IS NOT NULL AND checksum IS NOT NULL AND row_count IS NOT NULL));

-- migrate:down
ALTER TABLE report_data_weeks DROP CONSTRAINT report_data_weeks_skipped_check, DROP COLUMN reused_segment_id;
DROP INDEX report_data_collections_instance_idx;
DROP INDEX report_data_collections_report_idx;
DROP INDEX report_data_collections_content_idx;
ALTER TABLE report_data_collections DROP COLUMN content_key;
DROP TABLE reports;
