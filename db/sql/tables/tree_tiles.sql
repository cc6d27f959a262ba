-- The hashes of the Merkle tree over the log, as tiles of 256: of each tile the widest form that there was. It says
-- nothing that the log does not say: whoever deletes it has it built again.
CREATE TABLE tree_tiles (
  level  smallint NOT NULL,
  index  bigint   NOT NULL,
  -- SHA-256 each, laid end to end.
  hashes bytea    NOT NULL,

  CONSTRAINT tree_tiles_pkey PRIMARY KEY (level, index),
  CONSTRAINT tree_tiles_level_check CHECK (level BETWEEN 0 AND 7),
  CONSTRAINT tree_tiles_index_check CHECK (index >= 0),
  CONSTRAINT tree_tiles_hashes_check CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0)
);
-- Hashes do not compress.
ALTER TABLE tree_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
