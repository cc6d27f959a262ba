-- Which segments hold a slot towards AMC, and who is heard of. Written by admission and the workers at once,
-- not a read model: it is never rebuilt, and the log decides where the two differ.
CREATE TABLE segment_leases (
  segment_id    uuid        NOT NULL,
  collection_id uuid        NOT NULL,
  team_id       text        NOT NULL,
  user_id       uuid,
  workflow_id   text        NOT NULL,
  instance_id   text        NOT NULL,
  lane          text        NOT NULL,
  -- Version of the segment's last segment.dispatched: only who holds it may act.
  fence         integer     NOT NULL,
  step          text        NOT NULL,
  -- The newest step message that a worker has begun; an older one is a copy, and dropped.
  sequence      integer     NOT NULL DEFAULT 0,
  holds_slot    boolean     NOT NULL DEFAULT true,
  lease_until   timestamptz NOT NULL,

  CONSTRAINT segment_leases_pkey PRIMARY KEY (segment_id),
  CONSTRAINT segment_leases_lane_check CHECK (lane IN ('interactive', 'bulk')),
  CONSTRAINT segment_leases_step_check CHECK (step IN ('submit', 'poll', 'fetch')),
  CONSTRAINT segment_leases_fence_check CHECK (fence >= 1)
);

CREATE INDEX segment_leases_lease_until_idx ON segment_leases (lease_until);
