-- Ends the leases that were given before their collections were cancelled, so that their steps are sent again at
-- once and find that out; answers how many. A lease given anew is left alone, and so is a download.
CREATE OR REPLACE FUNCTION recall_cancelled() RETURNS bigint
LANGUAGE sql AS $$
  WITH recalled AS (
    UPDATE segment_leases l SET lease_until = clock_timestamp()
      FROM report_data_collections c
     WHERE c.collection_id = l.collection_id AND c.cancelled IS NOT NULL AND c.finished_at IS NULL
       AND l.step <> 'fetch'
       AND (SELECT a.recorded_at FROM report_builder_audit a
             WHERE a.stream = 'segment-' || l.segment_id AND a.stream_version = l.fence)
           < (c.cancelled ->> 'at')::timestamptz
    RETURNING 1
  )
  SELECT count(*) FROM recalled;
$$;
