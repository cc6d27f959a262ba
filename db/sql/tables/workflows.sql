-- Read model: the SQL that reports run, as the team's newest version of it.
CREATE TABLE workflows (
  workflow_id    text        NOT NULL,
  team_id        text        NOT NULL,
  user_id        uuid,
  name           text        NOT NULL,
  sql_query      text        NOT NULL,
  parameters     jsonb       NOT NULL,
  stream_version integer     NOT NULL,
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,

  CONSTRAINT workflows_pkey PRIMARY KEY (workflow_id),
  CONSTRAINT workflows_name_check CHECK (name <> ''),
  CONSTRAINT workflows_parameters_check CHECK (jsonb_typeof(parameters) = 'array')
);

CREATE INDEX workflows_team_idx ON workflows (team_id, workflow_id);
