-- The secrets of accounts, outside the log: the one table that no event explains. A row is written before the
-- event that names it, and never changed but by a rotation of the key; one that no event names is worth nothing.
CREATE TABLE amc_accounts (
  credential_id            uuid        NOT NULL,
  account_id               text        NOT NULL,
  -- Each secret is either a ciphertext (nonce, AES-256-GCM, tag) or a reference: env:NAME, file:/path.
  client_secret            bytea,
  client_secret_reference  text,
  refresh_token            bytea,
  refresh_token_reference  text,
  -- The key that both ciphertexts are encrypted with; null where both are references.
  key_id                   text,
  created_at               timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT amc_accounts_pkey PRIMARY KEY (credential_id),
  CONSTRAINT amc_accounts_client_secret_check CHECK (num_nonnulls(client_secret, client_secret_reference) = 1),
  CONSTRAINT amc_accounts_refresh_token_check CHECK (num_nonnulls(refresh_token, refresh_token_reference) = 1),
  CONSTRAINT amc_accounts_key_id_check
    CHECK ((key_id IS NULL) = (client_secret IS NULL AND refresh_token IS NULL))
);
