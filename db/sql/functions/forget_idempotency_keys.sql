-- Drops idempotency keys whose 7 days are over. The service may not write the table itself.
CREATE OR REPLACE FUNCTION forget_idempotency_keys() RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  DELETE FROM idempotency_keys WHERE created_at < clock_timestamp() - interval '7 days';
$$;
