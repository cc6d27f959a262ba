-- Brings the leases in line with the log: a segment whose last event is an end has none, and one whose
-- execution has ended at AMC holds no slot any more. So no worker needs to give a lease back, and none that
-- dies between two lines can keep one.
CREATE OR REPLACE FUNCTION settle_leases() RETURNS void
LANGUAGE sql AS $$
  WITH newest AS MATERIALIZED (
    SELECT l.segment_id, e.event_type
      FROM segment_leases l
      CROSS JOIN LATERAL (
        SELECT a.event_type FROM report_builder_audit a
         WHERE a.stream = 'segment-' || l.segment_id ORDER BY a.stream_version DESC LIMIT 1) e
     WHERE e.event_type IN ('segment.executed', 'segment.completed', 'segment.retry_scheduled',
                            'segment.released', 'segment.failed', 'segment.cancelled',
                            'segment.retried')
  ), ended AS (
    DELETE FROM segment_leases l USING newest n
     WHERE l.segment_id = n.segment_id AND n.event_type <> 'segment.executed'
  )
  UPDATE segment_leases l SET holds_slot = false FROM newest n
   WHERE l.segment_id = n.segment_id AND n.event_type = 'segment.executed' AND l.holds_slot;
$$;
