-- Read model: a window of history cut into segments. The counters move with each segment's events, and
-- backfill_status follows from them.
CREATE TABLE report_data_collections (
  collection_id       uuid                 NOT NULL,
  team_id             text                 NOT NULL,
  user_id             uuid,
  report_id           uuid,
  workflow_id         text                 NOT NULL,
  instance_id         text                 NOT NULL,
  name                text                 NOT NULL,
  lane                text                 NOT NULL,
  lookback_config     jsonb                NOT NULL,
  segmentation_config jsonb,
  timezone            text                 NOT NULL,
  as_of               date                 NOT NULL,
  window_start        date                 NOT NULL,
  window_end          date                 NOT NULL,
  parallel_limit      integer              NOT NULL,
  newest_first        boolean              NOT NULL,
  max_attempts        integer              NOT NULL,
  backfill_status     backfill_status_enum NOT NULL,
  segments_total      integer              NOT NULL,
  segments_active     integer              NOT NULL DEFAULT 0,
  segments_waiting    integer              NOT NULL DEFAULT 0,
  segments_completed  integer              NOT NULL DEFAULT 0,
  segments_failed     integer              NOT NULL DEFAULT 0,
  segments_cancelled  integer              NOT NULL DEFAULT 0,
  segments_skipped    integer              NOT NULL DEFAULT 0,
  row_count           bigint               NOT NULL DEFAULT 0,
  stream_version      integer              NOT NULL,
  created_at          timestamptz          NOT NULL,
  started_at          timestamptz,
  finished_at         timestamptz,
  updated_at          timestamptz          NOT NULL,

  CONSTRAINT report_data_collections_pkey PRIMARY KEY (collection_id),
  CONSTRAINT report_data_collections_lane_check CHECK (lane IN ('interactive', 'bulk')),
  CONSTRAINT report_data_collections_window_check CHECK (window_end >= window_start),
  CONSTRAINT report_data_collections_parallel_limit_check CHECK (parallel_limit >= 1),
  CONSTRAINT report_data_collections_max_attempts_check CHECK (max_attempts >= 1),
  CONSTRAINT report_data_collections_lookback_config_check CHECK (coalesce(lookback_config ->> 'type', '') IN ('relative', 'custom')),
  CONSTRAINT report_data_collections_segmentation_config_check
    CHECK (segmentation_config IS NULL OR coalesce(segmentation_config ->> 'type', '') IN ('daily', 'weekly', 'monthly')),
  CONSTRAINT report_data_collections_segments_check
    CHECK (segments_total >= 0
           AND least(segments_active, segments_waiting, segments_completed, segments_failed, segments_cancelled,
                     segments_skipped) >= 0
           AND segments_active + segments_waiting + segments_completed + segments_failed + segments_cancelled
               + segments_skipped <= segments_total)
);

CREATE INDEX report_data_collections_lookback_config_idx
  ON report_data_collections USING gin (lookback_config jsonb_path_ops);
CREATE INDEX report_data_collections_segmentation_config_idx
  ON report_data_collections USING gin (segmentation_config jsonb_path_ops);
CREATE INDEX report_data_collections_status_idx ON report_data_collections (team_id, backfill_status, created_at);
CREATE INDEX report_data_collections_user_idx ON report_data_collections (user_id, created_at);
-- Admission and the finisher look at the unfinished ones alone.
CREATE INDEX report_data_collections_unfinished_idx
  ON report_data_collections (created_at) WHERE finished_at IS NULL;
