-- One constant row that every append locks first, so that positions are handed out in commit order.
-- It is locked, never updated: an updated counter row bloats under any long snapshot.
CREATE TABLE append_lock (
  one boolean NOT NULL DEFAULT true,

  CONSTRAINT append_lock_pkey PRIMARY KEY (one),
  CONSTRAINT append_lock_one_check CHECK (one)
);

INSERT INTO append_lock DEFAULT VALUES;
