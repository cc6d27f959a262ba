-- Admission looks at what is new in the log, at instances with room, and at the collections that wait for them.

-- migrate:up
-- include tables/lease_settlement.sql
INSERT INTO lease_settlement (position) VALUES (0);
GRANT SELECT, UPDATE ON lease_settlement TO report_builder_service;
CREATE INDEX segment_leases_collection_idx ON segment_leases (collection_id) WHERE holds_slot;
CREATE INDEX report_data_collections_admittable_idx ON report_data_collections (instance_id, lane)
  WHERE finished_at IS NULL AND paused IS NULL AND held IS NULL AND cancelled IS NULL;
-- What each round of admission asks of all unfinished collections, and is true of few.
CREATE INDEX report_data_collections_cancelled_idx ON report_data_collections (collection_id)
  WHERE cancelled IS NOT NULL AND finished_at IS NULL;
CREATE INDEX report_data_collections_failing_idx ON report_data_collections (collection_id)
  WHERE finished_at IS NULL AND held IS NULL AND cancelled IS NULL AND backfill_status = 'in_progress'
    AND segments_failed >= stop_at_failures;
CREATE INDEX report_data_collections_ended_idx ON report_data_collections (collection_id)
  WHERE finished_at IS NULL AND backfill_status IN ('completed', 'partial', 'failed');
-- In the order in which they are taken: what was moved to the front, then by date.
DROP INDEX report_data_weeks_dispatchable_idx;
CREATE INDEX report_data_weeks_dispatchable_idx ON report_data_weeks (collection_id, front_at, week_start)
  WHERE status IN ('pending', 'waiting') AND stalled IS NULL;
-- include functions/settle_segments.sql
-- include functions/settle_leases.sql
-- include functions/settle_new_events.sql
-- include functions/free_slots.sql
-- include functions/admit_segments.sql

-- migrate:down
DROP FUNCTION free_slots, settle_new_events, settle_segments;
DROP INDEX report_data_weeks_dispatchable_idx;
CREATE INDEX report_data_weeks_dispatchable_idx
  ON report_data_weeks (collection_id, week_start) WHERE status IN ('pending', 'waiting');
DROP INDEX report_data_collections_ended_idx;
DROP INDEX report_data_collections_failing_idx;
DROP INDEX report_data_collections_cancelled_idx;
DROP INDEX report_data_collections_admittable_idx;
DROP INDEX segment_leases_collection_idx;
DROP TABLE lease_settlement;
