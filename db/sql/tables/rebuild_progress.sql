-- How far the read models are built beside the live ones, and by which code. It is as durable as what it tells of: a
-- crash of the server empties both.
CREATE UNLOGGED TABLE report_builder_rebuild.rebuild_progress (
  one        boolean     NOT NULL DEFAULT true,
  position   bigint      NOT NULL,
  target     bigint      NOT NULL,
  made_by    text        NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT rebuild_progress_pkey PRIMARY KEY (one),
  CONSTRAINT rebuild_progress_one_check CHECK (one),
  CONSTRAINT rebuild_progress_position_check CHECK (position >= 0)
);
