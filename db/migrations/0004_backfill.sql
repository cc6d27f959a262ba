-- Leases, and the functions that give them, take them back and send lost work again.

-- migrate:up
-- include tables/segment_leases.sql
-- include functions/settle_leases.sql
-- include functions/admit_segments.sql
-- include functions/renew_expired_leases.sql
-- include functions/begin_step.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON segment_leases TO report_builder_service;

-- migrate:down
DROP FUNCTION begin_step;
DROP FUNCTION renew_expired_leases;
DROP FUNCTION admit_segments;
DROP FUNCTION settle_leases;
DROP TABLE segment_leases;
