-- Drops idempotency keys whose 7 days are over. The service may not write the table itself.
-- The claims on AMC's executions stay for 60 days, longer than any attempt looks executions up.
CREATE OR REPLACE FUNCTION forget_idempotency_keys() RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  DELETE FROM idempotency_keys
   WHERE created_at < clock_timestamp() - interval '7 days'
     AND (key NOT LIKE 'amc-execution%' OR created_at < clock_timestamp() - interval '60 days');
$$;
