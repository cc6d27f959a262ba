-- Read model: the AMC instances and this service's limits towards them.
CREATE TABLE amc_instances (
  instance_id    text        NOT NULL,
  team_id        text        NOT NULL,
  name           text        NOT NULL,
  advertiser_id  text        NOT NULL,
  marketplace_id text        NOT NULL,
  time_zone      text        NOT NULL,
  max_concurrent integer     NOT NULL,
  retention_days integer     NOT NULL,
  stream_version integer     NOT NULL,
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,

  CONSTRAINT amc_instances_pkey PRIMARY KEY (instance_id),
  CONSTRAINT amc_instances_max_concurrent_check CHECK (max_concurrent >= 1),
  CONSTRAINT amc_instances_retention_days_check CHECK (retention_days >= 1)
);
