-- Instances on which AMC has failed lately. Only those have a row; written by the calls, never rebuilt.
CREATE TABLE amc_breakers (
  instance_id text        NOT NULL,
  -- Calls that failed in a row, and how often the breaker has opened since one succeeded.
  failures    integer     NOT NULL,
  openings    integer     NOT NULL DEFAULT 0,
  -- Nothing is sent until then; after it, one call at a time tries whether AMC is well again.
  open_until  timestamptz,
  probe_until timestamptz,
  error       text        NOT NULL,

  CONSTRAINT amc_breakers_pkey PRIMARY KEY (instance_id)
);
