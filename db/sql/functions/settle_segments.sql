-- Brings the leases of these segments in line with the log: a segment whose last event is an end has none, and one
-- whose execution has ended at AMC holds no slot any more. So no worker needs to give a lease back, and none that
-- dies between two lines can keep one.
--
-- A stalled segment rests until a person lets it go on: without a lease where it must be admitted again, else with
-- one that does not end.
CREATE OR REPLACE FUNCTION settle_segments(segment_ids uuid[]) RETURNS void
LANGUAGE plpgsql
-- How many segments there are is unknown to the planner; the look into the log must stay an index probe for each.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  WITH newest AS MATERIALIZED (
    SELECT l.segment_id, e.event_type,
           e.event_type = 'segment.stalled' AND (e.configuration ->> 'in_flight')::boolean AS in_flight,
           e.event_type NOT IN ('segment.executed', 'segment.stalled', 'segment.resumed')
             OR (e.event_type = 'segment.stalled' AND e.configuration ->> 'step' = 'submit'
                 AND NOT (e.configuration ->> 'in_flight')::boolean) AS ended
      FROM unnest(segment_ids) AS s(segment_id)
      JOIN segment_leases l ON l.segment_id = s.segment_id
      CROSS JOIN LATERAL (
        SELECT a.event_type, a.configuration FROM report_builder_audit a
         WHERE a.stream = 'segment-' || l.segment_id ORDER BY a.stream_version DESC LIMIT 1) e
     WHERE e.event_type IN ('segment.executed', 'segment.completed', 'segment.retry_scheduled',
                            'segment.released', 'segment.failed', 'segment.cancelled',
                            'segment.retried', 'segment.split', 'segment.superseded', 'segment.stalled',
                            'segment.resumed')
  ), gone AS (
    DELETE FROM segment_leases l USING newest n WHERE l.segment_id = n.segment_id AND n.ended
  )
  UPDATE segment_leases l
     SET holds_slot = l.holds_slot AND (n.in_flight OR n.event_type = 'segment.resumed'),
         lease_until = CASE n.event_type WHEN 'segment.stalled' THEN 'infinity'
                                         WHEN 'segment.resumed' THEN least(l.lease_until, clock_timestamp())
                                         ELSE l.lease_until END
    FROM newest n
   WHERE l.segment_id = n.segment_id AND NOT n.ended
     AND CASE n.event_type WHEN 'segment.executed' THEN l.holds_slot
                           WHEN 'segment.stalled' THEN l.lease_until < 'infinity'
                           ELSE l.lease_until = 'infinity' END;
END
$$;
