-- The last day to which a collection's data is complete, without a gap from its window's first day: there is a result,
-- and it was executed when Amazon had all of the day (48 hours after it). Null where the first day is not.
CREATE OR REPLACE FUNCTION complete_through(collection_id uuid) RETURNS date
LANGUAGE sql STABLE AS $$
  WITH segment AS (
    SELECT w.week_start, w.week_end,
           CASE WHEN w.checksum IS NULL THEN w.week_start - 1
                ELSE least(w.week_end, greatest(w.week_start, executed.day - 1) - 1) END AS covered
      FROM report_data_collections c
      JOIN report_data_weeks w USING (collection_id)
      LEFT JOIN report_data_weeks r ON r.segment_id = w.reused_segment_id
      CROSS JOIN LATERAL (
        SELECT (coalesce(w.submitted_at, r.submitted_at) AT TIME ZONE c.timezone)::date AS day) executed
     WHERE c.collection_id = complete_through.collection_id
       AND w.week_start >= c.window_start AND w.week_end <= c.window_end
       AND w.skip_reason IS DISTINCT FROM 'split'
  ), gap AS (
    SELECT min(covered) AS before FROM segment WHERE covered < week_end
  )
  SELECT CASE WHEN gap.before IS NULL THEN c.window_end WHEN gap.before >= c.window_start THEN gap.before END
    FROM report_data_collections c CROSS JOIN gap WHERE c.collection_id = complete_through.collection_id;
$$;
