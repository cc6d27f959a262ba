-- Read model: one row per segment of a collection, whatever its length; inclusive at both ends.
CREATE TABLE report_data_weeks (
  segment_id       uuid                NOT NULL,
  collection_id    uuid                NOT NULL,
  segment_number   integer             NOT NULL,
  week_start       date                NOT NULL,
  week_end         date                NOT NULL,
  status           segment_status_enum NOT NULL,
  attempts         integer             NOT NULL DEFAULT 0,
  amc_execution_id text,
  row_count        bigint,
  result_bytes     bigint,
  checksum         text,
  error            text,
  retry_at         timestamptz,
  stream_version   integer             NOT NULL,
  dispatched_at    timestamptz,
  submitted_at     timestamptz,
  started_at       timestamptz,
  finished_at      timestamptz,
  updated_at       timestamptz         NOT NULL,

  CONSTRAINT report_data_weeks_pkey PRIMARY KEY (segment_id),
  CONSTRAINT report_data_weeks_collection_id_fkey
    FOREIGN KEY (collection_id) REFERENCES report_data_collections (collection_id),
  -- Deferrable: checked at the end of a statement, so that a rebuild can put two swapped numbers right.
  CONSTRAINT report_data_weeks_segment_number_key UNIQUE (collection_id, segment_number) DEFERRABLE,
  CONSTRAINT report_data_weeks_segment_number_check CHECK (segment_number >= 1),
  CONSTRAINT report_data_weeks_window_check CHECK (week_end >= week_start),
  CONSTRAINT report_data_weeks_attempts_check CHECK (attempts >= 0),
  CONSTRAINT report_data_weeks_row_count_check CHECK (row_count >= 0),
  CONSTRAINT report_data_weeks_completed_check
    CHECK (status <> 'completed' OR (checksum IS NOT NULL AND row_count IS NOT NULL)),
  CONSTRAINT report_data_weeks_waiting_check CHECK (status <> 'waiting' OR retry_at IS NOT NULL)
);

CREATE INDEX report_data_weeks_date_range_idx ON report_data_weeks (collection_id, week_start, week_end);
CREATE INDEX report_data_weeks_progress_idx ON report_data_weeks (collection_id, status);
-- What admission may dispatch next.
CREATE INDEX report_data_weeks_dispatchable_idx
  ON report_data_weeks (collection_id, week_start) WHERE status IN ('pending', 'waiting');
