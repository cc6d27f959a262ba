-- The public keys that heads were signed with, as vkeys, for readers to look up. Which of them to trust nobody learns
-- here: that is what they are given by another way.
CREATE TABLE tree_keys (
  key        text        NOT NULL,
  first_used timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT tree_keys_pkey PRIMARY KEY (key)
);
