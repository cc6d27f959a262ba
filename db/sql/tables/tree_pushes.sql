-- How far the heads have been taken to each place outside.
CREATE TABLE tree_pushes (
  place text    NOT NULL,
  epoch integer NOT NULL DEFAULT 0,
  size  bigint  NOT NULL DEFAULT 0,

  CONSTRAINT tree_pushes_pkey PRIMARY KEY (place)
);
