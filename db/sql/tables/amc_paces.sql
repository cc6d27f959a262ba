-- How fast each account may call AMC, over all processes. Written with every call; not a read model, and never
-- rebuilt: a row that is lost begins anew at the account's own rate.
CREATE TABLE amc_paces (
  account_id   text             NOT NULL,
  -- When the next call would be exactly on the rate, and the next one of a repeated attempt (GCRA).
  due          timestamptz      NOT NULL,
  retry_due    timestamptz      NOT NULL,
  -- Calls per second that Amazon let pass at rate_at; from then on it grows back.
  rate         double precision NOT NULL,
  rate_at      timestamptz      NOT NULL,
  -- When Amazon last answered 429, and until when nothing is sent since.
  slowed_at    timestamptz,
  slowed_until timestamptz,

  CONSTRAINT amc_paces_pkey PRIMARY KEY (account_id),
  CONSTRAINT amc_paces_rate_check CHECK (rate > 0)
) WITH (fillfactor = 50);
