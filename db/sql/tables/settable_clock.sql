-- The clock that development may set: at the real moment `set_at` it showed `start_at`, and goes `speed` times as
-- fast since. No row: it shows the real time. Read only where REPORT_BUILDER_SETTABLE_CLOCK allows it.
CREATE TABLE settable_clock (
  one      boolean          NOT NULL DEFAULT true,
  start_at timestamptz      NOT NULL,
  speed    double precision NOT NULL,
  set_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT settable_clock_pkey PRIMARY KEY (one),
  CONSTRAINT settable_clock_one_check CHECK (one),
  CONSTRAINT settable_clock_speed_check CHECK (speed > 0)
);
