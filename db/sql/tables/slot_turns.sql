-- When each team, user and collection was last given a slot: of those that hold as many, whoever has waited longest
-- is next. Written by admission together with the leases; not a read model, and never rebuilt.
CREATE TABLE slot_turns (
  holder   text        NOT NULL,
  given_at timestamptz NOT NULL,

  CONSTRAINT slot_turns_pkey PRIMARY KEY (holder)
) WITH (fillfactor = 50);  -- room for the next turn on the same page: these rows change with every slot
