-- Where a segment stands on its way through AMC.
CREATE TYPE segment_status_enum AS ENUM
  ('pending', 'dispatched', 'submitted', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'skipped');
