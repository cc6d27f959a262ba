-- Persons can be erased: a key for each, what deletes it, and streams of what was done.

-- migrate:up
ALTER TABLE report_builder_audit DROP CONSTRAINT report_builder_audit_stream_check;
ALTER TABLE report_builder_audit ADD CONSTRAINT report_builder_audit_stream_check
  CHECK (stream LIKE ANY (ARRAY['report-_%', 'collection-_%', 'segment-_%', 'schedule-_%', 'team-_%',
                                'instance-_%', 'workflow-_%', 'account-_%', 'letter-_%', 'person-_%', 'log-_%']));
-- include tables/person_keys.sql
-- include functions/forget_answers.sql
-- include functions/erase_person.sql
REVOKE ALL ON FUNCTION forget_answers, erase_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_answers, erase_person TO report_builder_service;
-- A rotation of the key from outside changes rows; nothing but an erasure deletes one.
GRANT SELECT, INSERT ON person_keys TO report_builder_service;
GRANT UPDATE (wrapped_with, key) ON person_keys TO report_builder_service;

-- migrate:down
-- Refused by the log's constraint where it holds events of persons: the release before could not read them. What was
-- sealed cannot be read without the keys: after this nobody reads it again.
ALTER TABLE report_builder_audit DROP CONSTRAINT report_builder_audit_stream_check;
ALTER TABLE report_builder_audit ADD CONSTRAINT report_builder_audit_stream_check
  CHECK (stream LIKE ANY (ARRAY['report-_%', 'collection-_%', 'segment-_%', 'schedule-_%', 'team-_%',
                                'instance-_%', 'workflow-_%', 'account-_%', 'letter-_%', 'log-_%']));
DROP FUNCTION erase_person;
DROP FUNCTION forget_answers;
DROP TABLE person_keys;
