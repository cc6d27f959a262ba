-- Every signed head of the tree: a copy for readers of what the signer has kept outside first. Who alters it can
-- make no head, as that takes the key.
CREATE TABLE tree_heads (
  epoch     integer     NOT NULL,
  size      bigint      NOT NULL,
  -- The signed note, byte for byte.
  note      text        NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT tree_heads_pkey PRIMARY KEY (epoch, size),
  CONSTRAINT tree_heads_epoch_check CHECK (epoch >= 1),
  CONSTRAINT tree_heads_size_check CHECK (size >= 1)
);
