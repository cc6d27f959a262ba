-- Ends the leases of cancelled collections, so that their steps are sent again at once and find the cancellation;
-- answers how many. Each is recalled once: a lease that was given anew is left alone. So are a download, and a create
-- that is under way: its answer is near, and would be lost to a worker without the lease.
CREATE OR REPLACE FUNCTION recall_cancelled() RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  _recalled int;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('admit_segments'));
  UPDATE segment_leases l SET lease_until = clock_timestamp()
    FROM report_data_collections c
   WHERE c.collection_id = l.collection_id AND c.cancelled IS NOT NULL AND c.finished_at IS NULL
     AND l.step <> 'fetch'
     AND l.lease_until < 'infinity'  -- stalled: it would only kill its next worker
     AND (SELECT a.configuration ->> 'reason' = 'admitted' OR a.recorded_at < (c.cancelled ->> 'at')::timestamptz
            FROM report_builder_audit a
           WHERE a.stream = 'segment-' || l.segment_id AND a.stream_version = l.fence)
     AND (SELECT a.event_type <> 'segment.submission_started'
            FROM report_builder_audit a
           WHERE a.stream = 'segment-' || l.segment_id ORDER BY a.stream_version DESC LIMIT 1);
  GET DIAGNOSTICS _recalled = ROW_COUNT;
  RETURN _recalled;
END
$$;
