-- The transparency log: the tree's tiles, its signed heads, what witnesses say of them, and where they were taken.

-- migrate:up
-- include tables/tree_tiles.sql
-- include tables/tree_heads.sql
-- include tables/tree_cosignatures.sql
-- include tables/tree_keys.sql
-- include tables/tree_pushes.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON tree_tiles TO report_builder_service;
GRANT SELECT, INSERT ON tree_heads, tree_cosignatures, tree_keys TO report_builder_service;
GRANT SELECT, INSERT, UPDATE ON tree_pushes TO report_builder_service;

-- migrate:down
DROP TABLE tree_pushes;
DROP TABLE tree_keys;
DROP TABLE tree_cosignatures;
DROP TABLE tree_heads;
DROP TABLE tree_tiles;
