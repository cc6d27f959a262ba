-- The audit trail as a person reads it: who did what, to which workflow, in which step.
CREATE OR REPLACE VIEW report_builder_activity AS
SELECT a.position, a.id, a.recorded_at, a.event_type, a.step_completed,
       a.stream, a.stream_version, split_part(a.stream, '-', 1) AS entity,
       substr(a.stream, strpos(a.stream, '-') + 1) AS entity_id,
       a.team_id, a.user_id,
       a.workflow_id, w.name AS workflow_name, w.sql_query AS workflow_sql,
       a.configuration, a.metadata ->> 'correlation_id' AS correlation_id, a.metadata,
       a.schema_version
  FROM report_builder_audit a
  LEFT JOIN workflows w ON w.workflow_id = a.workflow_id;
