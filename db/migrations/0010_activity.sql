-- What people did, found and counted: an index of the log by blocks, reports by step, refusals by code; and
-- request rates.

-- migrate:up
-- include tables/activity_blocks.sql
-- include tables/report_steps.sql
-- include tables/request_errors.sql
-- include tables/request_rates.sql
-- include functions/index_activity.sql
-- include functions/position_before.sql
-- include functions/stream_version_at.sql
-- include functions/take_requests.sql
GRANT SELECT, INSERT ON activity_blocks TO report_builder_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON report_steps, request_errors, request_rates TO report_builder_service;
-- The reports that the projection has passed already.
INSERT INTO report_steps
SELECT substr(a.stream, 8)::uuid, a.team_id, a.user_id, a.recorded_at,
       s.parameters_at, s.schedule_at, s.review_at, s.submit_at,
       s.parameters_posts, s.schedule_posts, s.review_posts, s.submit_posts, s.stream_version
  FROM projection_checkpoints c
  JOIN report_builder_audit a ON a.position <= c.position AND a.event_type = 'report.created'
 CROSS JOIN LATERAL (
    SELECT min(b.recorded_at) FILTER (WHERE b.step_completed = 'parameters') AS parameters_at,
           min(b.recorded_at) FILTER (WHERE b.step_completed = 'schedule') AS schedule_at,
           min(b.recorded_at) FILTER (WHERE b.step_completed = 'review') AS review_at,
           min(b.recorded_at) FILTER (WHERE b.step_completed = 'submit') AS submit_at,
           count(*) FILTER (WHERE b.step_completed = 'parameters') AS parameters_posts,
           count(*) FILTER (WHERE b.step_completed = 'schedule') AS schedule_posts,
           count(*) FILTER (WHERE b.step_completed = 'review') AS review_posts,
           count(*) FILTER (WHERE b.step_completed = 'submit') AS submit_posts,
           max(b.stream_version) AS stream_version
      FROM report_builder_audit b WHERE b.stream = a.stream AND b.position <= c.position) s
 WHERE c.projection = 'read_models';

-- migrate:down
DROP FUNCTION take_requests;
DROP FUNCTION stream_version_at;
DROP FUNCTION position_before;
DROP FUNCTION index_activity;
DROP TABLE request_rates;
DROP TABLE request_errors;
DROP TABLE report_steps;
DROP TABLE activity_blocks;
