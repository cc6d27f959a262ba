-- Read model: one row per run of a schedule, also of those that were missed or skipped, and why.
CREATE TABLE schedule_runs (
  run_id         uuid        NOT NULL,
  schedule_id    uuid        NOT NULL,
  team_id        text        NOT NULL,
  -- The local date-time asked for, in the schedule's zone as it was then; `instant` is when that is.
  nominal        timestamp   NOT NULL,
  instant        timestamptz NOT NULL,
  as_of          date,
  status         text        NOT NULL,
  cause          text,
  reason         text,
  collection_id  uuid,
  stream_version integer     NOT NULL,
  created_at     timestamptz NOT NULL,
  started_at     timestamptz,
  updated_at     timestamptz NOT NULL,

  CONSTRAINT schedule_runs_pkey PRIMARY KEY (run_id),
  CONSTRAINT schedule_runs_schedule_id_fkey FOREIGN KEY (schedule_id) REFERENCES workflow_schedules (schedule_id),
  CONSTRAINT schedule_runs_collection_id_fkey
    FOREIGN KEY (collection_id) REFERENCES report_data_collections (collection_id),
  CONSTRAINT schedule_runs_status_check CHECK (status IN ('waiting', 'started', 'missed', 'skipped')),
  CONSTRAINT schedule_runs_started_check
    CHECK ((status = 'started') = (collection_id IS NOT NULL AND cause IS NOT NULL AND started_at IS NOT NULL)),
  CONSTRAINT schedule_runs_reason_check CHECK ((status IN ('missed', 'skipped')) = (reason IS NOT NULL))
);

CREATE INDEX schedule_runs_schedule_idx ON schedule_runs (schedule_id, instant, run_id);
