-- How many attempts were begun on each instance on its last day (UTC), for its daily limit. Written by admission
-- together with the leases; not a read model, and never rebuilt.
CREATE TABLE instance_days (
  instance_id text    NOT NULL,
  day         date    NOT NULL,
  begun       integer NOT NULL,

  CONSTRAINT instance_days_pkey PRIMARY KEY (instance_id),
  CONSTRAINT instance_days_begun_check CHECK (begun >= 0)
);
