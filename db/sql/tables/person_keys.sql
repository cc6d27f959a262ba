-- The key of each person who has written something, outside the log: what they wrote is there only as ciphertext, so
-- deleting the row erases it everywhere. A person has one; who goes on after an erasure gets another, with another id.
CREATE TABLE person_keys (
  user_id      uuid        NOT NULL,
  key_id       text        NOT NULL,
  -- The key from outside that this one is encrypted with, and what that makes: nonce, AES-256-GCM, tag.
  wrapped_with text        NOT NULL,
  key          bytea       NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT person_keys_pkey PRIMARY KEY (user_id),
  CONSTRAINT person_keys_key_id_key UNIQUE (key_id),
  -- Whoever was erased gets none: they are nobody until they sign in again, and somebody else then.
  CONSTRAINT person_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE
);
