-- The log, its append function, and what keeps it append-only: the service's role may read it and call
-- append_events; triggers refuse the rest, to the owner too.

-- migrate:up
-- include tables/report_builder_audit.sql
-- include tables/append_lock.sql
-- include tables/idempotency_keys.sql
-- include functions/refuse_change.sql
-- include triggers/report_builder_audit_append_only.sql
-- include functions/append_events.sql
-- include functions/forget_idempotency_keys.sql
GRANT SELECT ON report_builder_audit, idempotency_keys TO report_builder_service;
REVOKE ALL ON FUNCTION append_events, forget_idempotency_keys FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_events, forget_idempotency_keys TO report_builder_service;

-- migrate:down
DROP FUNCTION forget_idempotency_keys;
DROP FUNCTION append_events;
DROP TABLE idempotency_keys;
DROP TABLE append_lock;
DROP TABLE report_builder_audit;
DROP FUNCTION refuse_change;
