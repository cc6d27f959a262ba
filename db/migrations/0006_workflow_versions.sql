-- Workflows change and are archived: who changed one last, and whether it is out of the way.

-- migrate:up
-- The default is for the release before this one, which does not know the column.
ALTER TABLE workflows
  ADD COLUMN archived boolean NOT NULL DEFAULT false,
  ADD COLUMN updated_by uuid;
UPDATE workflows SET updated_by = user_id;

-- migrate:down
ALTER TABLE workflows DROP COLUMN archived, DROP COLUMN updated_by;
