-- Read model: how many segments of a team, and of each of its users, may be in flight at once; null: any number.
CREATE TABLE team_limits (
  team_id                 text        NOT NULL,
  max_concurrent          integer,
  max_concurrent_per_user integer,
  stream_version          integer     NOT NULL,
  updated_at              timestamptz NOT NULL,

  CONSTRAINT team_limits_pkey PRIMARY KEY (team_id),
  CONSTRAINT team_limits_max_concurrent_check CHECK (max_concurrent >= 1),
  CONSTRAINT team_limits_max_concurrent_per_user_check CHECK (max_concurrent_per_user >= 1)
);
