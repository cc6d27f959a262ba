-- What `report-builder migrate` has applied here: numbered migrations, and the functions and views of their files.
CREATE TABLE IF NOT EXISTS schema_migrations (
  number     integer     PRIMARY KEY,
  name       text        NOT NULL,
  digest     text        NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS schema_objects (
  name   text PRIMARY KEY,
  digest text NOT NULL
);

GRANT SELECT ON schema_migrations, schema_objects TO report_builder_service;
