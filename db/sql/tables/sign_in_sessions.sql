-- Browsers that are signed in. The cookie's value is not here: only its SHA-256, so that whoever reads the table
-- cannot be anybody. Teams and scopes are as the issuer said them at the sign-in.
CREATE TABLE sign_in_sessions (
  token_hash bytea       NOT NULL,
  user_id    uuid        NOT NULL,
  teams      text[]      NOT NULL,
  scopes     text[]      NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,

  CONSTRAINT sign_in_sessions_pkey PRIMARY KEY (token_hash),
  CONSTRAINT sign_in_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE,
  CONSTRAINT sign_in_sessions_token_hash_check CHECK (length(token_hash) = 32)
);

CREATE INDEX sign_in_sessions_user_idx ON sign_in_sessions (user_id);
CREATE INDEX sign_in_sessions_expires_at_idx ON sign_in_sessions (expires_at);
