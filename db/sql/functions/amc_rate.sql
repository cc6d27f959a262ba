-- Calls per second that an account has now: what Amazon let it have at rate_at, grown back since, all of the most in
-- half a minute.
CREATE OR REPLACE FUNCTION amc_rate(pace amc_paces, most double precision, now timestamptz) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
  SELECT least(most, pace.rate + most * extract(epoch FROM now - pace.rate_at)::double precision / 30);
$$;
