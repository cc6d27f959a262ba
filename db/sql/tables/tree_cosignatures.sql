-- What witnesses have signed of a head, one line each.
CREATE TABLE tree_cosignatures (
  epoch     integer     NOT NULL,
  size      bigint      NOT NULL,
  -- The witness's key, as a vkey.
  key       text        NOT NULL,
  line      text        NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT tree_cosignatures_pkey PRIMARY KEY (epoch, size, key),
  CONSTRAINT tree_cosignatures_head_fkey FOREIGN KEY (epoch, size) REFERENCES tree_heads (epoch, size)
);
