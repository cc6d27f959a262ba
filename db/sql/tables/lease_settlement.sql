-- Up to which position of the log the leases are settled: one row, moved by admission. Not a read model, and never
-- rebuilt.
CREATE TABLE lease_settlement (
  one      boolean NOT NULL DEFAULT true,
  position bigint  NOT NULL,

  CONSTRAINT lease_settlement_pkey PRIMARY KEY (one),
  CONSTRAINT lease_settlement_one_check CHECK (one),
  CONSTRAINT lease_settlement_position_check CHECK (position >= 0)
);
