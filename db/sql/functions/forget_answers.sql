-- Empties what is kept of a person's requests with an idempotency key: the answer, and the digest of the body, which
-- whoever guesses the body can check. The same request again is refused as another one, and never carried out twice.
-- `since` bounds what is looked at. The service may not write the table itself.
CREATE OR REPLACE FUNCTION forget_answers(of_user uuid, since timestamptz DEFAULT '-infinity') RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
  UPDATE idempotency_keys
     SET answer = '{}', digest = sha256(gen_random_uuid()::text::bytea)
   WHERE created_at >= since
     -- Team, user, method, path and the caller's key, a line each: see service/commands.py.
     AND split_part(key, E'\n', 2) = of_user::text;
$$;
