-- Tree heads are exported by size, whichever epoch they are of.

-- migrate:up
CREATE INDEX tree_heads_size_idx ON tree_heads (size, epoch);

-- migrate:down
DROP INDEX tree_heads_size_idx;
