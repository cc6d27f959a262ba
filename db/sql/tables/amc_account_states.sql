-- Read model: the accounts, and how each one stands. What is in the settings of `default` is null here.
CREATE TABLE amc_account_states (
  account_id     text        NOT NULL,
  team_id        text        NOT NULL,
  name           text        NOT NULL,
  region         text,
  base_url       text,
  token_url      text,
  client_id      text,
  status         text        NOT NULL,
  cause          text,
  error          text,
  status_since   timestamptz NOT NULL,
  stream_version integer     NOT NULL,
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,

  CONSTRAINT amc_account_states_pkey PRIMARY KEY (account_id),
  CONSTRAINT amc_account_states_status_check CHECK (status IN ('connected', 'reconnect', 'disconnected')),
  CONSTRAINT amc_account_states_cause_check CHECK ((cause IS NULL) = (status <> 'reconnect'))
);
