-- What each person has been given of a request rate: requests by slice of time, the newest slice first.
-- A slice is a tenth of the policy's window; eleven of them hold every window that ends now.
CREATE TABLE request_rates (
  user_id  uuid        NOT NULL,
  -- Name and window: another window counts anew.
  policy   text        NOT NULL,
  -- Number of the newest slice, counted from 1970.
  slice    bigint      NOT NULL DEFAULT 0,
  counts   integer[]   NOT NULL DEFAULT '{0,0,0,0,0,0,0,0,0,0,0}',
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT request_rates_pkey PRIMARY KEY (user_id, policy),
  CONSTRAINT request_rates_counts_check CHECK (array_length(counts, 1) = 11 AND 0 <= ALL (counts))
) WITH (fillfactor = 50);
