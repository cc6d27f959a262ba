-- Read model: each report on its way through the builder, for the list of them.
CREATE TABLE reports (
  report_id      uuid        NOT NULL,
  team_id        text        NOT NULL,
  user_id        uuid,
  name           text        NOT NULL,
  next_step      text,
  instance_id    text,
  workflow_id    text,
  schedule_type  text,
  collection_id  uuid,
  schedule_id    uuid,
  stream_version integer     NOT NULL,
  created_at     timestamptz NOT NULL,
  submitted_at   timestamptz,
  updated_at     timestamptz NOT NULL,

  CONSTRAINT reports_pkey PRIMARY KEY (report_id),
  CONSTRAINT reports_next_step_check CHECK (next_step IN ('parameters', 'schedule', 'review', 'submit')),
  CONSTRAINT reports_schedule_type_check
    CHECK (schedule_type IN ('once', 'scheduled', 'backfill', 'backfill_with_schedule')),
  CONSTRAINT reports_submitted_check CHECK ((next_step IS NULL) = (submitted_at IS NOT NULL))
);

CREATE INDEX reports_team_idx ON reports (team_id, created_at, report_id);
