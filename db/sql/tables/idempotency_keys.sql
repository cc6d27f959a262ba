-- What was answered to a request that carried a key, written in the transaction that appended its events.
-- The key holds its whole scope (team, user, route, the caller's key); kept 7 days.
CREATE TABLE idempotency_keys (
  key            text        NOT NULL,
  digest         bytea       NOT NULL,
  status         integer     NOT NULL,
  answer         json        NOT NULL,
  first_position bigint      NOT NULL,
  last_position  bigint      NOT NULL,
  created_at     timestamptz NOT NULL,

  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key),
  CONSTRAINT idempotency_keys_positions_check CHECK (last_position >= first_position)
);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
