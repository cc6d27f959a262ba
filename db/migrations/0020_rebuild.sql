-- Read models are rebuilt in a schema of their own, and a projection that stands still says where and why.

-- migrate:up
GRANT USAGE ON SCHEMA report_builder_rebuild TO report_builder_service;
-- include tables/rebuild_progress.sql
-- include functions/begin_rebuild.sql
-- include functions/end_rebuild.sql
GRANT SELECT, UPDATE ON report_builder_rebuild.rebuild_progress TO report_builder_service;
REVOKE ALL ON FUNCTION begin_rebuild, end_rebuild FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_rebuild, end_rebuild TO report_builder_service;
ALTER TABLE projection_checkpoints
  ADD COLUMN stopped_at    bigint,
  ADD COLUMN stopped_by    text,
  ADD COLUMN stopped_since timestamptz,
  ADD CONSTRAINT projection_checkpoints_stopped_check
    CHECK (num_nulls(stopped_at, stopped_by, stopped_since) IN (0, 3));

-- migrate:down
ALTER TABLE projection_checkpoints DROP COLUMN stopped_at, DROP COLUMN stopped_by, DROP COLUMN stopped_since;
SELECT end_rebuild();
DROP FUNCTION begin_rebuild, end_rebuild;
DROP TABLE report_builder_rebuild.rebuild_progress;
REVOKE USAGE ON SCHEMA report_builder_rebuild FROM report_builder_service;
