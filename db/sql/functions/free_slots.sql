-- Where segments may be begun now: a row for each instance and lane with room, whose account may be worked with and
-- on which AMC does not fail. `room` is what the instance has left, now and today, `lane_room` what it leaves to the
-- lane (null: as much), `account_room` what its account has left over all its instances.
CREATE OR REPLACE FUNCTION free_slots(day date)
RETURNS TABLE (instance_id text, lane text, account_id text, room int, lane_room int, account_room int)
LANGUAGE plpgsql STABLE
-- Each of these tables is read once, as a whole; how many leases there are changes faster than what the planner knows.
SET enable_nestloop = off
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = on
SET enable_seqscan = on
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH instance_use AS (
    SELECT l.instance_id, count(*)::int AS used, (count(*) FILTER (WHERE l.lane = 'bulk'))::int AS bulk
      FROM segment_leases l WHERE l.holds_slot GROUP BY l.instance_id
  ), roomy AS MATERIALIZED (
    SELECT * FROM (
      SELECT i.instance_id, i.account_id,
             least(i.max_concurrent - coalesce(u.used, 0), i.max_executions_per_day - coalesce(d.begun, 0)) AS room,
             -- One slot of an instance that has more than one is kept for scheduled and once-only runs.
             i.max_concurrent - least(1, i.max_concurrent - 1) - coalesce(u.bulk, 0) AS bulk_room,
             coalesce(s.max_concurrent, 200)  -- AMC's own limit
               - (sum(coalesce(u.used, 0)) OVER (PARTITION BY i.account_id))::int AS account_room
        FROM amc_instances i
        LEFT JOIN instance_use u ON u.instance_id = i.instance_id
        LEFT JOIN amc_account_states s ON s.account_id = i.account_id
        LEFT JOIN instance_days d ON d.instance_id = i.instance_id AND d.day = free_slots.day) r
     WHERE r.room > 0 AND r.account_room > 0
  ), held AS MATERIALIZED (
    SELECT a.account_id FROM (SELECT DISTINCT r.account_id FROM roomy r) a WHERE account_held(a.account_id)
  )
  SELECT r.instance_id, k.lane, r.account_id, r.room, CASE WHEN k.lane = 'bulk' THEN r.bulk_room END, r.account_room
    FROM roomy r JOIN (VALUES ('interactive'), ('bulk')) AS k(lane) ON k.lane = 'interactive' OR r.bulk_room > 0
   WHERE r.account_id NOT IN (SELECT h.account_id FROM held h)
     -- Where AMC fails, nothing new is begun until it is time to try.
     AND r.instance_id NOT IN (SELECT b.instance_id FROM amc_breakers b WHERE b.open_until > clock_timestamp());
END
$$;
