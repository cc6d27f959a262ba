-- Read model: which teams beside its own may run on an instance. A grant that was revoked stays, with its end.
CREATE TABLE instance_grants (
  grant_id       text        NOT NULL,  -- the instance, a slash, the team
  instance_id    text        NOT NULL,
  team_id        text        NOT NULL,
  granted_at     timestamptz NOT NULL,
  revoked_at     timestamptz,

  CONSTRAINT instance_grants_pkey PRIMARY KEY (grant_id),
  CONSTRAINT instance_grants_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES amc_instances (instance_id)
);

CREATE INDEX instance_grants_team_idx ON instance_grants (team_id, instance_id) WHERE revoked_at IS NULL;
CREATE INDEX instance_grants_instance_idx ON instance_grants (instance_id, team_id) WHERE revoked_at IS NULL;
