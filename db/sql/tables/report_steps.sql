-- Read model: how far each report has come in the builder, and when it first came there.
CREATE TABLE report_steps (
  report_id        uuid        NOT NULL,
  team_id          text        NOT NULL,
  user_id          uuid,
  created_at       timestamptz NOT NULL,
  -- When each step was first posted.
  parameters_at    timestamptz,
  schedule_at      timestamptz,
  review_at        timestamptz,
  submit_at        timestamptz,
  -- How often each was posted.
  parameters_posts integer     NOT NULL DEFAULT 0,
  schedule_posts   integer     NOT NULL DEFAULT 0,
  review_posts     integer     NOT NULL DEFAULT 0,
  submit_posts     integer     NOT NULL DEFAULT 0,
  stream_version   integer     NOT NULL,

  CONSTRAINT report_steps_pkey PRIMARY KEY (report_id),
  CONSTRAINT report_steps_posts_check
    CHECK ((parameters_posts > 0) = (parameters_at IS NOT NULL) AND (schedule_posts > 0) = (schedule_at IS NOT NULL)
           AND (review_posts > 0) = (review_at IS NOT NULL) AND (submit_posts > 0) = (submit_at IS NOT NULL))
);

CREATE INDEX report_steps_team_idx ON report_steps (team_id, created_at);
