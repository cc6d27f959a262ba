-- A segment that fails its workers again and again comes to rest; what people do to dead letters is recorded.

-- migrate:up
ALTER TABLE report_builder_audit DROP CONSTRAINT report_builder_audit_stream_check;
ALTER TABLE report_builder_audit ADD CONSTRAINT report_builder_audit_stream_check
  CHECK (stream LIKE ANY (ARRAY['report-_%', 'collection-_%', 'segment-_%', 'schedule-_%', 'team-_%',
                                'instance-_%', 'workflow-_%', 'account-_%', 'letter-_%', 'log-_%']));
ALTER TABLE segment_leases
  -- How often in a row its work was begun without a sign of progress, and its order sent again without being begun.
  ADD COLUMN begun    integer NOT NULL DEFAULT 0,
  ADD COLUMN renewals integer NOT NULL DEFAULT 0;
ALTER TABLE report_data_weeks ADD COLUMN stalled jsonb;
DROP FUNCTION IF EXISTS begin_step(uuid, int, text, int, boolean, double precision);
-- include functions/begin_step.sql
-- include functions/settle_leases.sql
-- include functions/renew_expired_leases.sql
-- include functions/recall_cancelled.sql
-- include functions/admit_segments.sql

-- migrate:down
-- Refused by the log's constraint where it holds events of letters: the release before could not read them.
ALTER TABLE report_builder_audit DROP CONSTRAINT report_builder_audit_stream_check;
ALTER TABLE report_builder_audit ADD CONSTRAINT report_builder_audit_stream_check
  CHECK (stream LIKE ANY (ARRAY['report-_%', 'collection-_%', 'segment-_%', 'schedule-_%', 'team-_%',
                                'instance-_%', 'workflow-_%', 'account-_%', 'log-_%']));
ALTER TABLE report_data_weeks DROP COLUMN stalled;
ALTER TABLE segment_leases DROP COLUMN renewals, DROP COLUMN begun;
