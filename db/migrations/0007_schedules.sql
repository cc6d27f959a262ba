-- Schedules that run: what each run needs, where the schedule stands, what became of every run; and the clock
-- that development may set.

-- migrate:up
-- Nothing has filled workflow_schedules before, so its new columns need no default.
ALTER TABLE workflow_schedules
  ADD COLUMN sql_query           text        NOT NULL,
  ADD COLUMN declared_parameters jsonb       NOT NULL,
  ADD COLUMN parameters          jsonb       NOT NULL,
  ADD COLUMN segmentation_config jsonb,
  ADD COLUMN held                boolean     NOT NULL,
  ADD COLUMN handled_at          timestamptz NOT NULL,
  ADD COLUMN waiting_run_id      uuid,
  ADD COLUMN end_cause           text,
  ADD COLUMN state_reason        text,
  ADD COLUMN state_changed_by    uuid,
  ADD CONSTRAINT workflow_schedules_held_check CHECK (NOT held OR backfill_collection_id IS NOT NULL),
  ADD CONSTRAINT workflow_schedules_ended_check
    CHECK (status <> 'ended' OR (next_run_at IS NULL AND waiting_run_id IS NULL AND end_cause IS NOT NULL)),
  ADD CONSTRAINT workflow_schedules_end_cause_check CHECK (end_cause IN ('person', 'end_date', 'max_runs'));
-- What the scheduler looks for besides the due ones.
CREATE INDEX workflow_schedules_held_idx ON workflow_schedules (backfill_collection_id) WHERE held;
CREATE INDEX workflow_schedules_waiting_idx ON workflow_schedules (waiting_run_id) WHERE waiting_run_id IS NOT NULL;

ALTER TABLE report_data_collections
  ADD COLUMN schedule_id          uuid,
  ADD COLUMN backfill_of_schedule uuid;
-- A schedule's runs that are not done.
CREATE INDEX report_data_collections_running_idx ON report_data_collections (schedule_id)
  WHERE schedule_id IS NOT NULL AND finished_at IS NULL;

-- include tables/schedule_runs.sql
-- include tables/settable_clock.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule_runs, settable_clock TO report_builder_service;

-- migrate:down
DROP TABLE settable_clock;
DROP TABLE schedule_runs;
ALTER TABLE report_data_collections
  DROP COLUMN backfill_of_schedule,
  DROP COLUMN schedule_id;
ALTER TABLE workflow_schedules
  DROP COLUMN state_changed_by,
  DROP COLUMN state_reason,
  DROP COLUMN end_cause,
  DROP COLUMN waiting_run_id,
  DROP COLUMN handled_at,
  DROP COLUMN held,
  DROP COLUMN segmentation_config,
  DROP COLUMN parameters,
  DROP COLUMN declared_parameters,
  DROP COLUMN sql_query;
