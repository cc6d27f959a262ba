-- How far each projection has applied the log. A batch of events and this number move in one transaction.
CREATE TABLE projection_checkpoints (
  projection text        NOT NULL,
  position   bigint      NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT projection_checkpoints_pkey PRIMARY KEY (projection),
  CONSTRAINT projection_checkpoints_position_check CHECK (position >= 0)
);
