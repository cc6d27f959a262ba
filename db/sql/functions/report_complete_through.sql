-- The last day to which a report's results reach without a gap, over its backfill and its runs, from the first day of
-- any of its windows: each day is in a result that was executed when Amazon had all of it (48 hours after it). Null
-- where the first day is in none.
CREATE OR REPLACE FUNCTION report_complete_through(report_id uuid) RETURNS date
LANGUAGE sql STABLE AS $$
  WITH result AS (
    SELECT w.week_start AS first,
           least(w.week_end, (coalesce(w.submitted_at, r.submitted_at) AT TIME ZONE c.timezone)::date - 2) AS last
      FROM report_data_collections c
      JOIN report_data_weeks w USING (collection_id)
      LEFT JOIN report_data_weeks r ON r.segment_id = w.reused_segment_id
     WHERE c.report_id = report_complete_through.report_id AND w.checksum IS NOT NULL
  ), reached AS (
    SELECT first, max(last) OVER (ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM result WHERE last >= first
  )
  SELECT coalesce((SELECT g.before FROM reached g WHERE g.first > g.before + 1 ORDER BY g.first LIMIT 1),
                  (SELECT max(last) FROM result WHERE last >= first))
   WHERE (SELECT min(first) FROM result WHERE last >= first)
         <= (SELECT min(w.week_start) FROM report_data_collections c JOIN report_data_weeks w USING (collection_id)
              WHERE c.report_id = report_complete_through.report_id AND w.skip_reason IS DISTINCT FROM 'split');
$$;
