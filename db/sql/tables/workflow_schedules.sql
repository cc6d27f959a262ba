-- Read model: what runs again and again, and the backfill that it was submitted with.
CREATE TABLE workflow_schedules (
  schedule_id            uuid                 NOT NULL,
  team_id                text                 NOT NULL,
  user_id                uuid,
  report_id              uuid,
  workflow_id            text                 NOT NULL,
  instance_id            text                 NOT NULL,
  name                   text                 NOT NULL,
  schedule_config        jsonb                NOT NULL,
  lookback_config        jsonb                NOT NULL,
  timezone               text                 NOT NULL,
  status                 text                 NOT NULL,
  backfill_status        backfill_status_enum,
  backfill_collection_id uuid,
  next_run_at            timestamptz,
  last_run_at            timestamptz,
  run_count              integer              NOT NULL DEFAULT 0,
  stream_version         integer              NOT NULL,
  created_at             timestamptz          NOT NULL,
  updated_at             timestamptz          NOT NULL,

  CONSTRAINT workflow_schedules_pkey PRIMARY KEY (schedule_id),
  CONSTRAINT workflow_schedules_backfill_collection_id_fkey
    FOREIGN KEY (backfill_collection_id) REFERENCES report_data_collections (collection_id),
  CONSTRAINT workflow_schedules_backfill_check
    CHECK ((backfill_collection_id IS NULL) = (backfill_status IS NULL)),
  CONSTRAINT workflow_schedules_status_check CHECK (status IN ('active', 'paused', 'ended')),
  CONSTRAINT workflow_schedules_schedule_config_check
    CHECK (coalesce(schedule_config ->> 'frequency', '') IN ('daily', 'weekly', 'monthly')),
  CONSTRAINT workflow_schedules_run_count_check CHECK (run_count >= 0)
);

CREATE INDEX workflow_schedules_schedule_config_idx
  ON workflow_schedules USING gin (schedule_config jsonb_path_ops);
CREATE INDEX workflow_schedules_backfill_status_idx ON workflow_schedules (backfill_status)
  WHERE backfill_status IS NOT NULL;
CREATE INDEX workflow_schedules_backfill_collection_idx ON workflow_schedules (backfill_collection_id);
CREATE INDEX workflow_schedules_team_idx ON workflow_schedules (team_id, status);
CREATE INDEX workflow_schedules_due_idx ON workflow_schedules (next_run_at) WHERE status = 'active';
