-- An index of the log beside the log: where in each block of 256 positions events of a team, a person, a workflow,
-- a type are. Block 0 has the positions 1 to 256. Indexes on the log itself would be paid for by every append.
CREATE TABLE activity_blocks (
  -- all (value ''), team, type, team_type (team, space, type), user, workflow
  facet text     NOT NULL,
  value text     NOT NULL,
  block bigint   NOT NULL,
  -- One for each position of the block, in order: 1 where the event has the value.
  bits  bit(256) NOT NULL,

  CONSTRAINT activity_blocks_pkey PRIMARY KEY (facet, value, block) INCLUDE (bits),
  CONSTRAINT activity_blocks_facet_check CHECK (facet IN ('all', 'team', 'type', 'team_type', 'user', 'workflow')),
  CONSTRAINT activity_blocks_block_check CHECK (block >= 0)
);
